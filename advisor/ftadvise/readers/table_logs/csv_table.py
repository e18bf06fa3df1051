"""Reads loss histories from any table in delimited text: CSV, TSV, columns aligned by blanks."""

from __future__ import annotations

import re
from dataclasses import replace
from pathlib import PurePath
from typing import TYPE_CHECKING

from ftadvise.errors import LogError
from ftadvise.readers.series.as_logged import as_logged
from ftadvise.readers.series.keys import is_split_word, meaning
from ftadvise.readers.source import Reader, Source
from ftadvise.readers.table_logs.delimited import lines_of, parse
from ftadvise.readers.table_logs.frame import columns_shown
from ftadvise.readers.table_logs.frame_filling import read_frame
from ftadvise.readers.table_logs.frame_tables import runs_of_frame, tables_of_frame
from ftadvise.readers.table_logs.table_opening import Opening, has_loss, opening_of
from ftadvise.readers.wanted import ANY

if TYPE_CHECKING:
    from ftadvise.readers.table_logs.frame import Frame
    from ftadvise.run import Run


_SHORT = re.compile(r"([tv])[_ -]?loss", re.IGNORECASE)


def sniff(source: Source) -> float:
    """Return 0.6 for a table with a loss, 0.3 for another one that is surely a table, else less."""
    opening = opening_of(source)
    if opening is None:
        return 0.0
    if not opening.names:
        return 0.2 if _name_of_file(source) else 0.1
    if opening.dialect.delimiter == "|" and (b"\n|" in source.head or source.head[:1] == b"|"):
        return 0.1  # Markdown: more than one table, and text between them
    if has_loss(opening.names):
        return 0.6 if not opening.body or _losses_are_numbers(opening) else 0.0
    return 0.3 if _is_regular(opening) else 0.0


def read(source: Source) -> list[Run]:
    """Return the runs in a table.

    Raises:
        LogError: FT404 no table, FT405 no history in it, FT406 a table of something else, FT407
            over the limits.
    """
    opening = opening_of(source)
    if opening is None:
        raise LogError(f"{source.label}: not in any known format", code="FT404")
    if not opening.names:
        named = _with_name_of_file(source, opening)
        held = columns_shown(named.names)
        note = f"The file has no header; by its name and its rows it holds {held}."
    else:
        named = _with_splits(opening) if source.wanted == ANY else opening
        note = "The columns t_loss and v_loss are taken for train and eval loss."
        if named is opening:
            named = _with_losses(source, opening)
            note = "By the name of the file its columns of train and eval data are losses."
    frame = frame_of(source, named)
    if named is not opening:
        frame.notes.append(note)
    runs = runs_of_frame(source, frame, tables_of_frame(frame, source.wanted))
    return as_logged(runs, dict(zip(named.names, opening.names, strict=False)))


def frame_of(source: Source, opening: Opening) -> Frame:
    """Return the whole table in `source`, the caller's own; it is read once per source."""

    def make() -> Frame:
        lines = lines_of(source.path, source.encoding, source.label)
        return read_frame(source, opening, lines)

    made = source.remember("frame of a table", make)
    return replace(made, numbers=dict(made.numbers), notes=list(made.notes))


def _losses_are_numbers(opening: Opening) -> bool:
    """Return whether the columns that mean a loss hold numbers, so that it is no prose."""
    places = [place for place, name in enumerate(opening.names) if has_loss([name])]
    cells = [row[p] for row in opening.body for p in places if p < len(row) and row[p].strip()]
    if not cells:
        return _is_regular(opening)
    comma = opening.dialect.decimal_comma
    return 2 * sum(parse(cell, comma) is not None for cell in cells) >= len(cells)


def _is_regular(opening: Opening) -> bool:
    """Return whether all rows are as long as the header, and its names could be names."""
    names = [name for name in opening.names if name]
    return (
        bool(opening.body)
        and len(set(names)) == len(names) > 1
        and all(len(name) <= 80 for name in names)
        and all(len(row) == len(opening.names) for row in opening.body)
    )


def _name_of_file(source: Source) -> str:
    """Return the name of the file where it says that it holds a loss, else ""."""
    stem = PurePath(source.name).stem
    return stem if meaning(stem).role in ("train", "eval") else ""


def _with_splits(opening: Opening) -> Opening:
    """Return the opening with `t_loss` and `v_loss` called by what they are short for.

    One alone may be the loss of a value function.
    """
    short = {name: _SHORT.fullmatch(name) for name in opening.names}
    found = {match[1].lower() for match in short.values() if match}
    losses = [name for name in opening.names if has_loss([name]) or short[name]]
    if found != {"t", "v"} or len(losses) != 2:
        return opening
    full = {"t": "train loss", "v": "val loss"}
    names = tuple(full[m[1].lower()] if (m := short[n]) else n for n in opening.names)
    return replace(opening, names=names)


def _with_losses(source: Source, opening: Opening) -> Opening:
    """Return the opening with `train` and `val` in a file called `loss.csv` named as losses."""
    if has_loss(opening.names) or not _name_of_file(source):
        return opening
    names = tuple(
        f"{n} loss" if n and is_split_word(n) and not source.wanted.names(n) else n
        for n in opening.names
    )
    return opening if names == opening.names else replace(opening, names=names)


def _with_name_of_file(source: Source, opening: Opening) -> Opening:
    """Return the opening of numbers without a header, named by the name of their file.

    Raises:
        LogError: FT406, where that names no loss, or where there are more columns than two.
    """
    name = _name_of_file(source)
    if not name or opening.width > 2:
        columns = "a column" if opening.width == 1 else f"a table of {opening.width} columns"
        raise LogError(
            f"{source.label}: {columns} of numbers without a header, so that nothing says whether "
            "a loss is among them",
            code="FT406",
            hint="Put a first line with the names, such as epoch,train_loss,val_loss.",
        )
    if opening.width == 1:
        return replace(opening, names=(name,))
    first = [parse(row[0]) for row in opening.body]
    in_turn = first in (list(range(len(first))), list(range(1, len(first) + 1)))
    return replace(opening, names=("epoch" if in_turn else "step", name))


READER = Reader(
    name="csv",
    description="tables with a loss among their columns: CSV, TSV, semicolons, aligned columns",
    sniff=sniff,
    read=read,
)
