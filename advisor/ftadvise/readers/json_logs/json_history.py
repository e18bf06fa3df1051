"""Reads loss histories from any JSON: `training_metrics.json`, `history.json`, JSON Lines."""

from __future__ import annotations

from pathlib import PurePath
from typing import TYPE_CHECKING, Any, cast

from ftadvise.errors import LogError
from ftadvise.readers.json_logs import documents, long_documents
from ftadvise.readers.series.as_logged import as_logged
from ftadvise.readers.series.keys import meaning
from ftadvise.readers.series.tables import array_of, is_numbers
from ftadvise.readers.series.values import read_value
from ftadvise.readers.source import Reader, Source

if TYPE_CHECKING:
    from ftadvise.run import Run


def read(source: Source) -> list[Run]:
    """Return every run in a JSON file.

    Raises:
        LogError: FT404 broken, FT405 no history in it, FT406 a history of something else.
    """
    parsed = long_documents.parse(source)
    value = _joined(parsed.values)
    try:
        return read_value(source, value, parsed.notes)
    except LogError:
        runs = _by_name_of_file(source, value, parsed.notes)
        if not runs:
            raise
        return runs


def _by_name_of_file(source: Source, value: Any, notes: tuple[str, ...]) -> list[Run]:
    """Return the runs in a file whose name says that its numbers are losses; none otherwise.

    Such a file holds a list of them, or one each for train and eval.
    """
    stem = PurePath(source.name).stem
    if meaning(stem).role not in ("train", "eval"):
        return []
    names = list(cast("dict[str, Any]", value)) if isinstance(value, dict) else []
    if not names and not _is_curve(value):
        return []
    try:
        note = "By the name of the file its numbers are losses."
        runs = read_value(source, {stem: value}, (*notes, note))
    except LogError:
        return []
    return as_logged(runs, {f"{stem}.{name}": name for name in names})


def _is_curve(value: Any) -> bool:
    """Return whether `value` is a list of numbers, of `{step, value}` or of `[step, value]`.

    Two lists may be one for train and one for eval.
    """
    if not isinstance(value, list):
        return False
    items = array_of(cast("object", value))
    if len(items) > 2 and all(isinstance(x, list) for x in items):
        return all(len(cast("list[Any]", x)) == 2 for x in items)
    return is_numbers(items) or all(isinstance(x, dict) for x in items)


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
