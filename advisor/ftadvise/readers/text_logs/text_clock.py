"""Gives the points of a free text log their steps and epochs."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from ftadvise.readers.series.columns import Columns

if TYPE_CHECKING:
    from ftadvise.readers.series.tables import IntArray
    from ftadvise.readers.text_logs.text_choice import Chosen
    from ftadvise.readers.text_logs.text_series import Collected
    from ftadvise.run import FloatArray


def columns_of(found: Collected, chosen: Chosen) -> Columns:
    """Return the chosen series with their steps and epochs as columns; adds to the notes."""
    series = [s for s in (chosen.train, chosen.eval, chosen.rate) if s is not None]
    lines = np.unique(np.concatenate([np.frombuffer(s.lines, dtype=np.int64) for s in series]))
    clock = _Clock(found, chosen, lines)
    columns = Columns({s.name: s.means for s in series})
    values = {s.name: dict(zip(s.lines, s.values, strict=True)) for s in series}
    for place, line in enumerate(lines.tolist()):
        row: dict[str, float] = {}
        for name, axis in clock.axes.items():
            if np.isfinite(axis[place]):
                row[name] = float(axis[place])
        for name, held in values.items():
            if line in held:
                row[name] = held[line]
        columns.add(row)
    return columns


class _Clock:
    """The steps and epochs of lines, from what they and the headings above them count."""

    def __init__(self, found: Collected, chosen: Chosen, lines: IntArray) -> None:
        moments = found.moments
        self.epoch = np.frombuffer(moments.epoch)[lines]
        self.step = np.frombuffer(moments.step)[lines]
        self.batch = np.frombuffer(moments.batch)[lines]
        totals = np.frombuffer(moments.batches)[lines]
        self.totals = np.where(totals > 0, totals, np.nan)
        self.planned_steps = found.steps
        self.all_own = np.frombuffer(moments.own, dtype=np.int8).astype(bool)
        self.all_epochs, self.all_steps = np.frombuffer(moments.epoch), np.frombuffer(moments.step)
        lead = chosen.train or chosen.eval
        self.lead = np.zeros(lines.size, dtype=bool)
        counts: tuple[str, ...] = ()
        if lead is not None:
            self.lead = np.isin(lines, np.frombuffer(lead.lines, dtype=np.int64))
            counts = lead.counts
        self.notes = chosen.notes
        self.axes: dict[str, FloatArray] = {}
        by_batch = "batch" in counts
        self.counter = self.batch if by_batch else self.step
        self.counts_batches = found.counts_batches
        if set(counts) - {"epoch"}:
            self._counted()
        else:
            self._by_epoch()

    def _counted(self) -> None:
        """Time a loss whose lines count steps or batches."""
        self._epochs_from_their_ends()
        again = self._starts_again()
        totals = self.totals[np.isfinite(self.totals)]
        if not again:
            self.axes = {"epoch": self.epoch, "step": self.counter}
            self._planned_steps(self.counter)
            return
        if not totals.size:
            self.totals = np.full(self.counter.size, self._longest())
        base = 0.0 if np.nanmin(self.epoch) == 0 else 1.0
        share = np.minimum(self.counter / self.totals, 1.0)
        done = self.epoch - base + np.where(self._ends_epoch(), 1.0, share)
        self.axes = {"epoch": done}
        if self.counts_batches:
            self.axes["step"] = np.round(done * self.totals)
            self.notes.append(
                "The counter starts again in every epoch; steps and parts of epochs come from it."
            )

    def _longest(self) -> float:
        """Return the largest value of the counter, which stands for the length of an epoch."""
        counter = self.counter[self.lead]
        ahead = np.diff(counter)
        from_zero = bool(np.nanmin(counter) == 0) and bool((ahead > 0).any())
        interval = float(np.median(ahead[ahead > 0])) if from_zero else 0.0
        return max(float(np.nanmax(counter)) + interval, 1.0)

    def _planned_steps(self, counter: FloatArray) -> None:
        totals = self.totals[np.isfinite(self.totals)]
        known = counter[np.isfinite(counter)]
        planned = float(totals[-1]) if totals.size else self.planned_steps
        if planned and planned >= known.max(initial=0.0) > 0:
            self.axes["max_steps"] = np.full(counter.size, planned)

    def _epochs_from_their_ends(self) -> None:
        """Where only the end of an epoch is told, place the lines before it by their steps."""
        ends = np.flatnonzero(self.all_own & np.isfinite(self.all_steps))
        if 2 * np.isfinite(self.epoch[self.lead]).sum() > self.lead.sum() or not ends.size:
            return
        step, epoch = self.all_steps[ends], self.all_epochs[ends]
        order = np.flatnonzero(np.diff(step, prepend=0.0) > 0)
        step, epoch = step[order], epoch[order]
        if not step.size or (np.diff(epoch) <= 0).any():
            return
        done = epoch - min(float(epoch[0]), 1.0) + 1.0
        step, done = np.append(0.0, step), np.append(0.0, done)
        rate = (done[-1] - done[-2]) / (step[-1] - step[-2])
        here = self.counter
        self.epoch = np.where(
            here > step[-1], done[-1] + rate * (here - step[-1]), np.interp(here, step, done)
        )
        self.notes.append(
            "The log tells the ends of epochs; the epochs between are by their steps."
        )

    def _starts_again(self) -> bool:
        """Return whether the counter starts again in every epoch."""
        epoch, counter = self.epoch[self.lead], self.counter[self.lead]
        known = np.isfinite(epoch) & np.isfinite(counter)
        epoch, counter = epoch[known], counter[known]
        ahead = np.diff(epoch) > 0
        if not ahead.any():
            with_total = np.isfinite(self.totals[self.lead]).any()
            return bool(epoch.size and with_total)
        return bool(2 * (np.diff(counter)[ahead] <= 0).sum() > ahead.sum())

    def _ends_epoch(self) -> npt.NDArray[np.bool_]:
        """Return which lines, not those of the lead, stand at the end of their epoch."""
        after = np.append(np.where(self.lead, self.epoch, np.nan)[1:], np.nan)
        for place in range(after.size - 2, -1, -1):
            if not np.isfinite(after[place]):
                after[place] = after[place + 1]
        last = ~np.isfinite(after) | (after != self.epoch)
        ends: npt.NDArray[np.bool_] = ~self.lead & last
        return ends

    def _by_epoch(self) -> None:
        """Time a loss whose lines count epochs, or nothing; steps from the lines before them."""
        self.axes = {"epoch": self.epoch}
        known = self.step[np.isfinite(self.step)]
        timeless = not np.isfinite(self.epoch).any()
        if known.size and (timeless or bool((np.diff(known) >= 0).all())):
            self.axes["step"] = self.step
            self._planned_steps(self.step)
        elif self.counts_batches and not timeless:
            # A mean over an epoch, printed below a bar that counted all of its batches.
            whole = np.where(self.batch == self.totals, self.totals, np.nan)
            base = 0.0 if np.nanmin(self.epoch) == 0 else 1.0
            self.axes["step"] = (self.epoch - base + 1.0) * whole
