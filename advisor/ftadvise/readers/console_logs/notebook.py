"""Reads trainings from the outputs that a Jupyter notebook keeps.

They come as the table that transformers shows, as printed dicts, as the progress bars of Keras,
or as tables of fastai. Each training is named by its cell, counted from 1.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from ftadvise.errors import LogError
from ftadvise.readers.console_logs import keras_progress
from ftadvise.readers.console_logs.console import Console, console_of
from ftadvise.readers.console_logs.free_text import runs_in_text
from ftadvise.readers.console_logs.hf_table import Shown, add_epochs, shown_in
from ftadvise.readers.console_logs.ipynb import Cell, cells_of, code_of, outputs_of
from ftadvise.readers.console_logs.moments import finite
from ftadvise.readers.console_logs.printed_plan import Plan
from ftadvise.readers.console_logs.trainings import Training, runs_of_trainings
from ftadvise.readers.json_logs.documents import opening
from ftadvise.readers.series.keys import meaning

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ftadvise.readers.source import Source
    from ftadvise.readers.wanted import Wanted
    from ftadvise.run import Run

_OPENING = re.compile(r'\s{0,100}\{\s{0,100}"(?:cells|metadata|nbformat(?:_minor)?|worksheets)"')
_LOSS = re.compile(r"loss", re.IGNORECASE)


def sniff(source: Source) -> float:
    """Return 0.95 for JSON that begins like a notebook."""
    head = opening(source)
    if not _OPENING.match(head):
        return 0.0
    known = any(mark in head for mark in ('"cell_type"', '"nbformat"', '"cells"', '"kernelspec"'))
    return 0.95 if known or source.name.endswith(".ipynb") else 0.0


def read(source: Source) -> list[Run]:
    """Return every training in the outputs of a notebook.

    Raises:
        LogError: FT404 no notebook or a broken one, FT405 no history in it.
    """
    found = _Found()
    settings = Plan()
    for place, cell in enumerate(cells_of(source), 1):
        for line in code_of(cell).splitlines():
            settings.read(line[:2000])
        trainings, frames, text = _trainings(cell, source.wanted)
        for group in (trainings, frames):
            for number, training in enumerate(group, 1):
                training.name = f"cell {place}" + (f" ({number})" if len(group) > 1 else "")
                training.plan.settings = {**settings.settings, **training.plan.settings}
        found.trainings += trainings
        found.frames += frames
        if text and not trainings:
            found.texts[f"cell {place}"] = text
    return found.runs(source)


@dataclass
class _Found:
    """What the cells of a notebook show.

    Attributes:
        trainings: What trainers show or print.
        frames: Data frames with a loss, which may stand for one of them.
        texts: Other text that speaks of a loss, by the name of its cell.
    """

    trainings: list[Training] = field(default_factory=list[Training])
    frames: list[Training] = field(default_factory=list[Training])
    texts: dict[str, str] = field(default_factory=dict[str, str])

    def runs(self, source: Source) -> list[Run]:
        """Return the runs in the surest of these that has any."""
        trainings = _without_lone_rows(self.trainings)
        trainings = [training for training in trainings if training.rows] or self.frames
        if trainings:
            return runs_of_trainings(source, trainings)
        free = {name: runs_in_text(source, text) for name, text in self.texts.items()}
        runs = [_named(run, name, len(free)) for name, own in free.items() for run in own]
        if runs:
            return runs
        what = "a table of a training without a row" if self.trainings else "no training in it"
        raise LogError(
            f"{source.label}: no loss history in this notebook: {what}",
            code="FT405",
            hint="Run it and save it with its outputs, or give trainer_state.json of a checkpoint.",
        )


def _named(run: Run, cell: str, cells: int) -> Run:
    part = run.source.run
    name = f"{cell} ({part})" if part else cell if cells > 1 else ""
    return replace(run, source=replace(run.source, run=name))


def _trainings(cell: Cell, wanted: Wanted) -> tuple[list[Training], list[Training], str]:
    """Return the trainings that a cell shows, those in data frames, and text about a loss."""
    tables: list[Shown] = []
    frames: list[Training] = []
    texts: list[str] = []
    for html, text in outputs_of(cell):
        if _LOSS.search(html):
            for shown in shown_in(html, wanted):
                if shown.frame:
                    frames.append(shown.training)
                elif tables and tables[-1].goes_on(shown):
                    tables[-1] = shown
                else:
                    tables.append(shown)
        elif text:
            texts.append(text)
    whole = "".join(_joined(texts))
    if not tables and not _LOSS.search(whole):
        return [], frames, ""
    console = console_of([whole], wanted)
    found = _together([shown.training for shown in tables], console)
    return found + keras_progress.trainings_in(whole), frames, whole


def _joined(texts: list[str]) -> Iterator[str]:
    """Yield the texts; a bar that is drawn in parts stays one, any other output ends its line."""
    for text in texts:
        yield text
        if not text.endswith(("\n", "\r", "\b")) and len(text) > 1:
            yield "\n"


def _together(tables: list[Training], console: Console) -> list[Training]:
    """Join what a cell shows in tables with what it prints about the same trainings."""
    ends = [
        (opened.end_step, opened.end_epoch)
        for opened in console.trainings
        if opened.ended and opened.end_step and opened.end_epoch
    ]
    if len(ends) == len(tables):
        for table, (step, epoch) in zip(tables, ends, strict=True):
            _end(table, step, epoch)
    found = list(tables)
    for printed in console.finished():
        losses = _losses(printed)
        if not losses:
            # Evaluations after a training whose table stands there are no history.
            found += [] if tables else [printed]
            continue
        same = next((table for table in found if _within(_losses(table), losses)), None)
        if same is None:
            found.append(printed)
            continue
        printed.plan.steps = printed.plan.steps or same.plan.steps
        printed.plan.epochs = printed.plan.epochs or same.plan.epochs
        printed.per_epoch = printed.per_epoch or same.per_epoch
        found[found.index(same)] = printed
    return found


def _end(table: Training, step: float | None, epoch: float | None) -> None:
    """Take from the `TrainOutput` of a training how many steps its epochs had."""
    if step and epoch and step == table.plan.steps and table.per_epoch is None:
        add_epochs(table, step / epoch)


def _losses(training: Training) -> list[float]:
    return [
        value
        for row in training.rows
        for key, cell in row.items()
        if meaning(key).role == "train" and (value := finite(cell)) is not None
    ]


def _within(few: list[float], many: list[float]) -> bool:
    """Whether all of `few` stand in `many` in their order, but for rounding."""
    rest = iter(many)
    return bool(few) and all(
        any(math.isclose(value, other, rel_tol=1e-3, abs_tol=1e-4) for other in rest)
        for value in few
    )


def _without_lone_rows(trainings: list[Training]) -> list[Training]:
    """Leave out tables of a single evaluation, which stand below the training itself."""
    lone = [
        len(training.rows) == 1 and training.plan.steps is None and "Epoch" not in training.rows[0]
        for training in trainings
    ]
    rest = [t for t, is_lone in zip(trainings, lone, strict=True) if not is_lone and t.rows]
    return rest or trainings
