"""Puts together the trainings that a console text tells of, piece by piece.

Rows are printed dicts; the plan stands in lines such as `Num Epochs = 3`; progress bars stand
between them; a row of means over the whole run ends a training.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ftadvise.readers.console_logs.console_steps import give_steps, total_of, whole_epochs
from ftadvise.readers.console_logs.moments import Bar, Moment, finite, without_repeats
from ftadvise.readers.console_logs.printed import Piece, pieces
from ftadvise.readers.console_logs.printed_plan import Plan
from ftadvise.readers.console_logs.trainings import Training, role_of
from ftadvise.readers.wanted import ANY, Wanted

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_BARS = 1000  # bars of different totals
UNTIMED = 5  # dicts without step or epoch that are believed to be a history

_START = "***** Running training *****"
_RESUMED = "Continuing training from checkpoint"
_BLOCK = re.compile(r"\*\*\*\*\* (eval|train) metrics \*\*\*\*\*")
_BLOCK_LINE = re.compile(r"\s{1,40}([A-Za-z][\w/]{0,80})\s{0,60}=\s{1,60}([-+\w.:]{1,40})\s*$")
# A bar without a name: the bars that data sets and model loading draw have one.
_BAR = re.compile(r"(\d{1,3})%\|[^|]{0,300}\|\s{0,12}(\d{1,12})/(\d{1,12}) \[")
_NAMED = re.compile(r"[A-Za-z][\w ()#./-]{0,80}:\s{0,5}$")
_OUTPUT = re.compile(r"TrainOutput\(global_step=(\d{1,12})")
_END = ("train_runtime", "train_samples_per_second")


class _Open:
    """A training while its output is read."""

    def __init__(self, plan: Plan) -> None:
        self.plan = plan
        self.moments: list[Moment] = []
        self.late: list[Moment] = []  # evaluations after the end
        self.end_epoch: float | None = None
        self.end_step: float | None = None
        self.bars: dict[int, int] = {}  # where each bar stood at the end, by its total
        self.ended = False

    def reach(self, bar: Bar) -> None:
        """Note how far the bar came."""
        self.bars[bar.total] = max(self.bars.get(bar.total, 0), bar.step)

    @property
    def first(self) -> float | None:
        return self.moments[0].epoch if self.moments else None

    @property
    def last(self) -> float | None:
        return self.moments[-1].epoch if self.moments else self.end_epoch


class Console:
    """Takes the pieces of a console text one by one and puts the trainings in it together."""

    def __init__(self, wanted: Wanted = ANY) -> None:
        """Begin without a training; `wanted` names the series that were asked for."""
        self.wanted = wanted
        self.trainings: list[_Open] = []
        self.plan = Plan()
        self._started = False
        self._resumed = False
        self._bar: Bar | None = None
        self._bars: dict[int, int] = {}
        self._waiting: list[Moment] = []
        self._block: dict[str, Any] | None = None

    def take(self, piece: Piece) -> None:
        """Take the next piece of the text."""
        text = piece.text
        if "%|" in text:
            self._draw(text)
        if self._block is not None and not self._in_block(text):
            self._row(self._block, "")
            self._block = None
        if "*****" in text:
            if _START in text:
                self._started, self._resumed, self.plan = True, False, Plan()
            else:
                self._begin_block(text)
        elif _RESUMED in text:
            self._resumed = True
        elif "%|" not in text:
            self.plan.read(text)
        output = _OUTPUT.search(text) if "TrainOutput" in text else None
        for row in piece.dicts:
            self._row(row, piece.process)
        if output is not None and self.trainings:
            self.trainings[-1].end_step = float(output[1])

    def _draw(self, text: str) -> None:
        """Take the bars in a piece; the rows since the last one stand above the first."""
        for match in _BAR.finditer(text):
            if _NAMED.search(text, max(0, match.start() - 100), match.start()):
                continue
            self._bar = Bar(int(match[2]), int(match[3]))
            if len(self._bars) < MAX_BARS or self._bar.total in self._bars:
                self._bars[self._bar.total] = self._bar.step
                if self.trainings and self.trainings[-1].ended:  # tqdm draws the end below it
                    self.trainings[-1].reach(self._bar)
            for moment in self._waiting:
                moment.after = self._bar
            self._waiting.clear()

    def _begin_block(self, text: str) -> None:
        match = _BLOCK.search(text)
        if match is not None:  # the train metrics are means over the whole run
            self._block = {_END[0]: None} if match[1] == "train" else {}

    def _in_block(self, text: str) -> bool:
        match = _BLOCK_LINE.match(text)
        if match is not None and self._block is not None and len(self._block) < 200:
            self._block[match[1]] = match[2]
            return True
        return False

    def _row(self, row: dict[str, Any], process: str) -> None:
        if "loss" not in row and any(key in row for key in _END):
            self._end(row)
            return
        role = role_of(row, self.wanted)
        if not role:
            return
        moment = Moment(row, role, process, self._bar)
        if self._begins(moment):
            self._open()
        training = self.trainings[-1]
        if training.ended and role == "eval":
            training.late.append(moment)
            return
        training.ended = False
        training.moments.append(moment)
        self._waiting.append(moment)

    def _end(self, row: dict[str, Any]) -> None:
        """Take the row of means over the whole run that ends a training."""
        if not self.trainings or (self.trainings[-1].ended and self._started):
            self._open()
        training = self.trainings[-1]
        training.ended = True
        training.end_epoch = finite(row.get("epoch")) or training.end_epoch
        training.end_step = finite(row.get("step")) or training.end_step
        training.bars = dict(self._bars)
        self._waiting.clear()

    def _begins(self, moment: Moment) -> bool:
        """Whether a row is of another training than the one before it."""
        if not self.trainings:
            return True
        training = self.trainings[-1]
        if not (training.ended or self._started):
            return False  # a clock that goes back by itself is seen to with all other logs
        now, last, first = moment.epoch, training.last, training.first
        if now is None or last is None:
            return moment.role == "train" and (self._started or bool(training.moments))
        if now >= last:
            return False
        if self._resumed or not training.ended:  # stopped without an end, and started again
            return first is None or now <= first
        return True

    def _open(self) -> None:
        plan = replace(self.plan, settings=dict(self.plan.settings))
        self.trainings.append(_Open(plan))
        self._started = self._resumed = False

    def finished(self) -> list[Training]:
        """Return the trainings that logged a history."""
        made = (_training(opened) for opened in self.trainings)
        return [training for training in made if training is not None]


def _training(opened: _Open) -> Training | None:
    notes: list[str] = []
    moments = without_repeats(opened.moments, notes)
    has_evals = any(moment.role == "eval" for moment in moments)
    if opened.late and has_evals:
        notes.append("Evaluations after the end of the training are left out.")
    elif moments:
        moments += opened.late[:1]
    if not _is_history(moments):
        return None
    total = opened.plan.steps or total_of(moments)
    if opened.end_step is None and total is not None and total in opened.bars:
        opened.end_step = float(opened.bars[int(total)])
    per_epoch = _per_epoch(opened)
    give_steps(moments, opened.plan, per_epoch, notes)
    if opened.plan.steps and not opened.plan.epochs:
        opened.plan.epochs = whole_epochs(moments, opened.plan.steps)
        if opened.plan.epochs:
            per_epoch = opened.plan.steps / opened.plan.epochs
    return Training([m.row for m in moments], "", opened.plan, per_epoch, notes)


def _is_history(moments: list[Moment]) -> bool:
    """Whether rows are moments of a training, and no lone dict in a text of another kind."""
    if any(moment.epoch is not None or moment.step is not None for moment in moments):
        return len(moments) > 1 or moments[0].role == "train"
    has_bar = any(moment.before or moment.after for moment in moments)
    return len(moments) >= (2 if has_bar else UNTIMED)


def _per_epoch(opened: _Open) -> float | None:
    """Return the steps in an epoch: from the end of the run, or from its plan."""
    plan = opened.plan
    planned = plan.per_epoch
    if opened.end_step and opened.end_epoch:
        reached = opened.end_step / opened.end_epoch
        # The epoch is rounded; the plan is exact where the two agree.
        return planned if planned and abs(planned / reached - 1) < 0.02 else reached
    last = opened.moments[-1].epoch if opened.moments else None
    if planned and (plan.certain or (plan.epochs and last and last > 0.97 * plan.epochs)):
        return planned
    return None


def console_of(texts: Iterable[str], wanted: Wanted = ANY) -> Console:
    """Return what stands in texts that were printed one after the other."""
    console = Console(wanted)
    for text in texts:
        for piece in pieces(text):
            console.take(piece)
    console.take(Piece(""))
    return console
