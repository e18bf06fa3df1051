"""Series of losses in free text, each with the moments of its lines.

A log often has the same loss at two granularities: of every so many steps, and averaged over an
epoch. They are kept apart by their names and by what their lines count (steps, batches, epochs),
so that one of them can be chosen.
"""

from __future__ import annotations

from array import array
from collections import Counter
from dataclasses import dataclass, field

from ftadvise.readers.series.keys import Meaning
from ftadvise.readers.text_logs.text_meaning import meaning

MAX_SERIES = 500


@dataclass
class Moments:
    """The moments of the lines that hold a loss, by line.

    Attributes:
        epoch: As the line or the heading above it says; NaN where unknown.
        step: The step counter, likewise.
        batch: The counter within an epoch, likewise.
        batches: What the counter counts to.
        own: Whether the line itself says its epoch.
        source: How many lines of source code stand before it.
    """

    epoch: array[float] = field(default_factory=lambda: array("d"))
    step: array[float] = field(default_factory=lambda: array("d"))
    batch: array[float] = field(default_factory=lambda: array("d"))
    batches: array[float] = field(default_factory=lambda: array("d"))
    own: array[int] = field(default_factory=lambda: array("b"))
    source: array[int] = field(default_factory=lambda: array("q"))


@dataclass
class TextSeries:
    """A series of numbers.

    Attributes:
        name: Its name as the log writes it.
        means: What the name means.
        counts: What its own lines count, such as `("epoch", "step")`.
        lines: The lines it is on, as places in `Moments`.
        values: The numbers.
    """

    name: str
    means: Meaning
    counts: tuple[str, ...]
    lines: array[int] = field(default_factory=lambda: array("q"))
    values: array[float] = field(default_factory=lambda: array("d"))

    def __len__(self) -> int:
        return len(self.values)


@dataclass
class Collected:
    """What all lines of a log hold.

    Attributes:
        series: Losses and learning rates.
        moments: The moments of their lines.
        epochs: Epochs planned; None where the log does not say.
        steps: Steps planned.
        refused: Lines that mention a loss like prose or source code does.
        other: How often other numbers stand on lines that say an epoch or a step, by name.
        counts_batches: Whether the counter within an epoch counts batches, and not samples.
    """

    series: dict[tuple[object, ...], TextSeries] = field(
        default_factory=dict[tuple[object, ...], TextSeries]
    )
    moments: Moments = field(default_factory=Moments)
    epochs: float | None = None
    steps: float | None = None
    refused: int = 0
    other: Counter[str] = field(default_factory=Counter[str])
    counts_batches: bool = True

    def series_of(self, name: str, counts: tuple[str, ...]) -> TextSeries | None:
        """Return the series of a name on lines that count `counts`; None beyond all bounds."""
        key = (name.lower(), counts)
        series = self.series.get(key)
        if series is None and len(self.series) < MAX_SERIES:
            series = self.series[key] = TextSeries(name, meaning(name), counts)
        return series
