"""A run while it is put together: curves with their places in the log."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

if TYPE_CHECKING:
    from ftadvise.readers.series.tables import IntArray
    from ftadvise.run import FloatArray


Axis = Literal["step", "epoch"]


@dataclass(frozen=True, eq=False)
class Curve:
    """A series whose time may still be unknown.

    Attributes:
        key: Name in the log.
        order: Where in the log each point stands: the row, or the fraction of the list.
        step: Optimizer steps, NaN where unknown.
        epoch: Epochs, NaN where unknown.
        value: The losses or learning rates.
        size: Length of the list in the log, holes included.
        rest: The words that tell its name from others of its role.
        rivals: Names of the series that it was chosen from, as likely as this one.
    """

    key: str
    order: FloatArray
    step: FloatArray
    epoch: FloatArray
    value: FloatArray
    size: int
    rest: tuple[str, ...] = ()
    rivals: tuple[str, ...] = ()

    def __len__(self) -> int:
        return self.value.size

    def take(self, index: IntArray | slice | Any) -> Curve:
        """Return the points at `index`."""
        return replace(
            self,
            order=self.order[index],
            step=self.step[index],
            epoch=self.epoch[index],
            value=self.value[index],
        )

    def time(self, axis: Axis) -> FloatArray:
        """Return the steps or the epochs."""
        return self.step if axis == "step" else self.epoch

    @property
    def untimed(self) -> bool:
        """Whether neither step nor epoch is known anywhere."""
        return not (np.isfinite(self.step).any() or np.isfinite(self.epoch).any())


@dataclass
class Draft:
    """What one table says about one run.

    Attributes:
        path: Where the table lies; the last names tell runs apart.
        curves: The curves by "train", "eval" and "rate".
        same_places: Whether all curves count their places alike (rows, or lists of one length).
        total_steps: Steps of the whole schedule, where the log says.
        gradients: How many gradient norms are NaN or infinite, by key.
        restarts: How often the step went back.
        notes: What had to be assumed.
    """

    path: tuple[str, ...]
    curves: dict[str, Curve] = field(default_factory=dict[str, Curve])
    same_places: bool = True
    total_steps: float | None = None
    gradients: dict[str, int] = field(default_factory=dict[str, int])
    restarts: int = 0
    notes: list[str] = field(default_factory=list[str])

    @property
    def lead(self) -> Curve:
        """The curve that sets the clock: train, or eval where there is no train loss."""
        return self.curves["train"] if "train" in self.curves else self.curves["eval"]
