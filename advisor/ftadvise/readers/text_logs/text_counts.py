"""What a line of free text counts: epochs, steps, batches of an epoch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ftadvise.readers.text_logs.pairs_in_text import Pair
from ftadvise.readers.text_logs.text_meaning import meaning, words

if TYPE_CHECKING:
    from ftadvise.readers.text_logs.pairs_in_text import Reading

BAR = "%|"
"""What every bar of tqdm has in it."""
_MAX_TIME = 1e12
_STEPS = ("steps", "iterations", "iters", "updates")


@dataclass
class Counts:
    """The counters of one line.

    Attributes:
        epoch: The epoch.
        step: The step, iteration or update.
        batch: A counter that starts again in every epoch; without a name where it is a ratio.
    """

    epoch: Pair | None = None
    step: Pair | None = None
    batch: Pair | None = None

    def names(self) -> tuple[str, ...]:
        """Return what the line counts, in a word for each."""
        kinds = ((self.epoch, "epoch"), (self.step, ""), (self.batch, "batch"))
        return tuple(kind or _kind(pair) or "step" for pair, kind in kinds if pair is not None)


class Counting:
    """Tells what lines count, one after the other.

    Attributes:
        epochs: Epochs planned; None where the log does not say.
        steps: Steps planned.
    """

    def __init__(self) -> None:
        """Start at the beginning of a log."""
        self.epochs: float | None = None
        self.steps: float | None = None
        # Bars without an epoch are counted when they start again; so are ratios beside both
        # losses. Once they were taken for epochs, they are.
        self._bar: float | None = None
        self._shown, self._bars = 0.0, 1.0
        self._by_bars = self._by_ratio = False

    def of(self, reading: Reading, knows_epoch: bool) -> Counts:
        """Return what a line counts.

        Args:
            reading: The line.
            knows_epoch: Whether it or a line before it said an epoch.
        """
        counts = Counts()
        best: tuple[int, ...] | None = None
        for pair in reading.pairs:
            if pair.unit or not 0 <= pair.value < _MAX_TIME:
                continue
            if pair.role == "epoch" and _kind(pair) != "epochs":
                counts.epoch = counts.epoch or pair
            elif pair.role in ("epoch", "plan"):
                self._plan(pair)
            elif pair.role == "step" and _kind(pair) in ("batch", "batches"):
                counts.batch = counts.batch or pair
            elif pair.role == "step":
                rank = meaning(pair.name).rank
                if best is None or rank < best:
                    counts.step, best = pair, rank
            elif not pair.name and counts.batch is None and counts.step is None:
                counts.batch = pair
        if counts.epoch is not None:
            self._by_bars = self._by_ratio = False
            self.epochs = counts.epoch.total or self.epochs
        if counts.batch is not None:
            self._what_a_batch_is(counts, counts.batch, reading, knows_epoch)
        return counts

    def _what_a_batch_is(
        self, counts: Counts, batch: Pair, reading: Reading, knows_epoch: bool
    ) -> None:
        """Decide what a batch counts, and a ratio without a name: `[3/10] loss: 0.5`."""
        if counts.step is not None:
            # Beside a step a ratio without a name is a date, or the place of a file.
            counts.batch = batch if batch.name else None
        elif counts.epoch is not None or (
            knows_epoch and not self._by_bars and not self._by_ratio
        ):
            if not batch.name and batch.total is not None and batch.value > batch.total:
                counts.batch = None
        elif batch.name:
            counts.step, counts.batch = batch, None
        elif BAR in reading.line:
            counts.epoch, self._by_bars = self._epoch_of_bar(batch), True
        else:
            self._by_ratio |= any(pair.role == "eval" for pair in reading.pairs)
            counts.batch = None
            if self._by_ratio:
                counts.epoch, self.epochs = batch, batch.total
            else:
                counts.step = batch

    def _epoch_of_bar(self, ratio: Pair) -> Pair:
        """Return the epoch, where bars that start again after they were full are all there is."""
        if ratio.total == self._bar and ratio.value < self._shown:
            self._bars += self._shown == self._bar
        self._bar, self._shown = ratio.total, ratio.value
        return Pair("epoch", self._bars, role="epoch")

    def _plan(self, pair: Pair) -> None:
        last = words(pair.name)[-1]
        if last in ("epochs", "epoch") and pair.value > 0:
            self.epochs = pair.value
        elif last in _STEPS and pair.value > 0:
            self.steps = pair.value


def _kind(pair: Pair) -> str:
    """Return the word that says what an axis counts, such as "steps"; "" without a name."""
    rest = meaning(pair.name).rest
    return rest[0] if rest else ""
