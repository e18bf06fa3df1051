"""The cells of a Jupyter notebook and their outputs, whatever its version."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, cast

from ftadvise.errors import LogError
from ftadvise.readers.series.tables import array_of

if TYPE_CHECKING:
    from ftadvise.readers.source import Source

Cell = dict[str, Any]

MAX_OUTPUTS = 100_000  # of one cell


def cells_of(source: Source) -> list[Cell]:
    """Return the cells of a notebook in order.

    Raises:
        LogError: FT404 broken JSON, FT405 no notebook or one without cells.
    """
    try:
        notebook: Any = json.loads(source.text)
    except RecursionError:
        raise LogError(f"{source.label}: JSON nested too deeply", code="FT404") from None
    except ValueError as error:
        reason = error.msg if isinstance(error, json.JSONDecodeError) else "a number is too long"
        raise LogError(
            f"{source.label}: a notebook with broken JSON: {reason}",
            code="FT404",
            hint="The file was cut off or damaged; copy it again.",
        ) from None
    top = _dict(notebook)
    cells = _list(top.get("cells"))
    for sheet in _list(top.get("worksheets")):  # notebooks of version 3
        cells += _list(_dict(sheet).get("cells"))
    if not cells:
        raise LogError(f"{source.label}: no notebook, or one without cells", code="FT405")
    return [_dict(cell) for cell in cells]


def code_of(cell: Cell) -> str:
    """Return what stands in a cell."""
    return _text(cell.get("source", cell.get("input")))


def outputs_of(cell: Cell) -> list[tuple[str, str]]:
    """Return the HTML and the text of each output of a cell; of one with both the HTML is shown."""
    return [_contents(_dict(output)) for output in _list(cell.get("outputs"))[:MAX_OUTPUTS]]


def _contents(output: dict[str, Any]) -> tuple[str, str]:
    data = _dict(output.get("data"))
    html = _text(data.get("text/html", output.get("html")))
    text = _text(output.get("text")) or _text(data.get("text/plain"))
    return html, text


def _dict(value: Any) -> dict[str, Any]:
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _list(value: Any) -> list[Any]:
    return list(array_of(cast("object", value))) if isinstance(value, list) else []


def _text(value: Any) -> str:
    """Return a text of a notebook, which may be cut into a list of lines."""
    if isinstance(value, list):
        return "".join(part for part in array_of(cast("object", value)) if isinstance(part, str))
    return value if isinstance(value, str) else ""
