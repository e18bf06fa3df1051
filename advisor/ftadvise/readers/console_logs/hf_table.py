"""Reads the table that transformers shows in a notebook while it trains.

Above the table stands a progress line such as `[360/360 12:34, Epoch 3/3]`: steps done and
planned, epochs done and planned. In the table, "No log" means that nothing was logged yet.
"""

from __future__ import annotations

import html
import itertools
import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from ftadvise.readers.console_logs.moments import ROUNDED
from ftadvise.readers.console_logs.printed_plan import Plan
from ftadvise.readers.console_logs.trainings import Row, Training, role_of
from ftadvise.readers.series.keys import meaning
from ftadvise.readers.series.tables import number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ftadvise.readers.wanted import Wanted

MAX_CELLS = 2_000_000
MAX_TEXT = 2000  # characters of one cell, and of the text above a table

_TAG = re.compile(r"<(/?)(table|thead|tbody|tr|td|th)\b[^<>]{0,1000}>", re.IGNORECASE)
_ANY_TAG = re.compile(r"<[^<>]{0,1000}>")
_PROGRESS = re.compile(
    r"\[\s{0,20}(\d{1,12})/(\d{1,12})\s([^\[\]]{0,100}?)Epoch ([\d.]{1,12})/(\d{1,20})\s{0,5}\]"
)


@dataclass
class HtmlTable:
    """A table as HTML shows it, with the text between it and the table before.

    Attributes:
        above: The text above it.
        header: The names of the columns.
        rows: The cells below them, as text.
    """

    above: str = ""
    header: list[str] = field(default_factory=list[str])
    rows: list[list[str]] = field(default_factory=list[list[str]])


class _Tables:
    """Collects the tables of a page tag by tag; cells beyond a limit are left out."""

    def __init__(self) -> None:
        self.tables: list[HtmlTable] = []
        self.above: list[str] = []
        self.row: list[str] | None = None
        self.cell: list[str] | None = None
        self.heads = False
        self.inside = False
        self.cells = 0

    def open(self, tag: str) -> None:
        if tag == "table":
            self.tables.append(HtmlTable(" ".join(self.above)[-MAX_TEXT:]))
            self.above, self.inside = [], True
        elif tag == "tr" and self.inside:
            self._end_row()
            self.row, self.heads = [], False
        elif tag in ("td", "th") and self.row is not None:
            self._end_cell()
            self.cell = []
            self.heads = self.heads or (tag == "th" and not self.tables[-1].header)

    def close(self, tag: str) -> None:
        if tag in ("td", "th"):
            self._end_cell()
            return
        self._end_row()
        self.inside = self.inside and tag != "table"

    def text(self, text: str) -> None:
        if self.cell is not None:
            self.cell.append(_plain(text[:MAX_TEXT]))
        elif not self.inside and text:
            self.above = [*self.above[-9:], _plain(text[-MAX_TEXT:])]

    def _end_cell(self) -> None:
        if self.cell is not None and self.row is not None:
            self.cells += 1
            if self.cells <= MAX_CELLS:
                self.row.append(" ".join("".join(self.cell)[:MAX_TEXT].split()))
        self.cell = None

    def _end_row(self) -> None:
        self._end_cell()
        if self.row:
            table = self.tables[-1]
            if self.heads and not table.rows:
                table.header = self.row
            else:
                table.rows.append(self.row)
        self.row = None


def _plain(text: str) -> str:
    return html.unescape(_ANY_TAG.sub(" ", text))


def tables_in(page: str) -> list[HtmlTable]:
    """Return the tables in a piece of HTML in order."""
    # html.parser needs quadratic time for a page of unfinished tags.
    found = _Tables()
    end = 0
    for tag in _TAG.finditer(page):
        found.text(page[end : tag.start()])
        end = tag.end()
        name = tag[2].lower()
        if tag[1]:
            found.close(name)
        else:
            found.open(name)
    found.text(page[end:])
    found.close("table")
    return found.tables


@dataclass(frozen=True)
class Shown:
    """A table of a training as it was shown.

    Attributes:
        header: The names of its columns.
        rows: Its cells.
        steps: Steps planned, None where no progress line stands above it.
        frame: Whether it is a data frame that was shown, and none of a trainer.
        training: What it says.
    """

    header: tuple[str, ...]
    rows: tuple[tuple[str, ...], ...]
    steps: float | None
    frame: bool
    training: Training

    def goes_on(self, later: Shown) -> bool:
        """Whether `later` is this table once more, with more rows."""
        return (
            self.header == later.header[: len(self.header)]
            and self.steps == later.steps
            and len(self.rows) <= len(later.rows)
            and all(
                mine == theirs[: len(mine)]
                for mine, theirs in zip(self.rows, later.rows, strict=False)
            )
        )


def shown_in(page: str, wanted: Wanted) -> list[Shown]:
    """Return the tables of trainings in a piece of HTML, those without a row included."""
    return [
        Shown(
            tuple(table.header),
            tuple(map(tuple, table.rows)),
            training.plan.steps,
            not table.header[0],
            training,
        )
        for table in tables_in(page)
        if (training := _training(table, wanted)) is not None
    ]


def _training(table: HtmlTable, wanted: Wanted) -> Training | None:
    """Return what a table of a training says, or None for a table of something else."""
    roles = {meaning(name).role for name in table.header}
    if not roles & {"step", "epoch"} or not roles & {"train", "eval"}:
        return None
    rows = [_numbers(table.header, cells) for cells in table.rows]
    training = Training([row for row in rows if role_of(row, wanted)])
    progress = _PROGRESS.search(table.above)
    if progress is not None:
        _add_progress(training, progress)
    if _repeats([row.get("Training Loss", "") for row in training.rows]):
        training.notes.append(
            "The train loss is logged less often than the table has rows; the last one is shown."
        )
    return training


def _repeats(losses: Sequence[str]) -> bool:
    """Whether the table shows most train losses in several rows."""
    pairs = list(itertools.pairwise(losses))
    same = sum(before == now and bool(number(now)) for before, now in pairs)
    return 2 * same >= len(pairs) > 1


def _numbers(header: Sequence[str], cells: Sequence[str]) -> Row:
    """Return the cells that hold a number; "No log" is a hole, as NaN is in a data frame."""
    hole = "nan" if not header[0] else "no log"
    return {
        name: cell
        for name, cell in zip(header, cells, strict=False)
        if name and cell.lower() != hole and number(cell) is not None
    }


def _add_progress(training: Training, progress: re.Match[str]) -> None:
    """Take steps and epochs from the progress line."""
    done, total = float(progress[1]), float(progress[2])
    epoch, planned = number(progress[4]) or 0.0, float(progress[5])
    training.plan = Plan(steps=total or None)
    if not total or not 0 < planned < 1e9:
        return
    per_epoch = total / planned
    # Whether the steps or the epochs were the limit shows in how far the epoch has come.
    if "<" in progress[3]:  # still running: the line counts the step that has begun
        done = max(done - 1, 0.0)
        apart = abs(done - per_epoch * epoch)
        fits = epoch > 0 and apart <= 0.5 + 0.02 * done + ROUNDED * per_epoch
    else:
        # The last epoch ends below a whole number where its last micro-batches fill no step.
        cut = planned >= 3 and epoch == planned - 1 and total % planned == 0
        fits = epoch == planned or cut
        if cut:
            training.notes.append(
                f"The progress line ends in epoch {epoch:g} of {planned:g}; taken as "
                f"{per_epoch:g} steps in each."
            )
    if fits:
        training.plan.epochs = planned
        add_epochs(training, per_epoch)


def add_epochs(training: Training, per_epoch: float) -> None:
    """Give the rows of a table with steps their epochs."""
    training.per_epoch = per_epoch
    for row in training.rows:
        step = number(row.get("Step"))
        if step is not None:
            row["Epoch"] = step / per_epoch
