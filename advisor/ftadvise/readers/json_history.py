"""Reads loss histories from any JSON: `training_metrics.json`, `history.json`, JSON Lines."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

from ftadvise.readers import documents, long_documents
from ftadvise.readers.source import Reader, Source
from ftadvise.readers.values import read_value

if TYPE_CHECKING:
    from ftadvise.run import Run


def read(source: Source) -> list[Run]:
    """Return every run in a JSON file.

    Raises:
        LogError: FT404 broken, FT405 no history in it, FT406 a history of something else.
    """
    parsed = long_documents.parse(source)
    return read_value(source, _joined(parsed.values), parsed.notes)


def _joined(values: list[Any]) -> Any:
    if len(values) == 1:
        return values[0]
    if all(isinstance(value, list) for value in values):
        return [item for value in values for item in cast("list[Any]", value)]
    return values


READER = Reader(
    name="json_history",
    description="loss histories in any JSON or JSON Lines file, such as training_metrics.json",
    sniff=documents.sniff,
    read=read,
)
