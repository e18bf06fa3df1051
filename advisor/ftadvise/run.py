"""What every training log becomes: a `Run` with its train and eval loss.

A `Run` holds observations only. It keeps the order of the log, knows nothing of models or
advice, and never hides a value: what is unknown is NaN, what was non-finite in the log is counted
in `nonfinite`.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import numpy.typing as npt

from ftadvise.display import Plottable
from ftadvise.numbers import count
from ftadvise.text import clean

FloatArray = npt.NDArray[np.float64]


def _empty() -> FloatArray:
    return np.empty(0, dtype=np.float64)


def as_floats(values: Any) -> FloatArray:
    """Return `values` as a read-only one-dimensional float64 array; None becomes NaN."""
    array = np.array(values, dtype=np.float64).reshape(-1)
    array.setflags(write=False)
    return array


@dataclass(frozen=True, eq=False, repr=False)
class Series:
    """One loss curve.

    Attributes:
        key: The name of the series in the log, such as `"eval_loss"`; None when there is none.
        step: Optimizer steps done at each point; NaN where the log does not say.
        epoch: Passes over the data at each point, fractional; NaN where the log does not say.
        loss: The loss; NaN where the log has a hole or a non-finite value.
        rivals: Names of other series in the log that may as well be meant.

    The three arrays are float64 and of one length, in order of time.
    """

    key: str | None = None
    step: FloatArray = field(default_factory=_empty)
    epoch: FloatArray = field(default_factory=_empty)
    loss: FloatArray = field(default_factory=_empty)
    rivals: tuple[str, ...] = field(default=(), kw_only=True)

    def __len__(self) -> int:
        return self.loss.size

    def __repr__(self) -> str:
        return f"Series({_quoted(self.key)}, {count(len(self), 'point')})"

    def finite(self) -> Series:
        """Return the points whose loss is a finite number."""
        return self.take(np.isfinite(self.loss))

    def take(self, index: npt.NDArray[Any] | slice) -> Series:
        """Return the points at `index` (a mask, positions or a slice)."""
        return replace(self, step=self.step[index], epoch=self.epoch[index], loss=self.loss[index])


@dataclass(frozen=True, eq=False, repr=False)
class LearningRates:
    """The learning rates that a log reports, in order of time.

    Attributes:
        key: The name of the series in the log; None when there is none.
        step: Optimizer steps; NaN where unknown.
        epoch: Passes over the data; NaN where unknown.
        rate: The learning rate of the first parameter group.
    """

    key: str | None = None
    step: FloatArray = field(default_factory=_empty)
    epoch: FloatArray = field(default_factory=_empty)
    rate: FloatArray = field(default_factory=_empty)

    def __len__(self) -> int:
        return self.rate.size

    def __repr__(self) -> str:
        return f"LearningRates({_quoted(self.key)}, {count(len(self), 'point')})"


@dataclass(frozen=True)
class Settings:
    """How a run is trained, stopped and saved; None where nothing is known.

    The same class says what a past run used (as far as its log tells) and what the advice
    proposes, so that one rule can judge both. Names are those of `transformers.TrainingArguments`.

    Attributes:
        num_train_epochs: Passes over the data that the schedule is made for.
        eval_steps: Optimizer steps from one evaluation to the next.
        save_steps: Optimizer steps from one checkpoint to the next.
        save_total_limit: Checkpoints kept on disk.
        load_best_model_at_end: Whether the best checkpoint is loaded when training ends.
        early_stopping_patience: Evaluations without improvement before the run stops.
        early_stopping_threshold: Gain in loss below which an evaluation does not count.
        lr_scheduler_type: Name of the learning-rate schedule, such as `"linear"`.
    """

    num_train_epochs: float | None = None
    eval_steps: float | None = None
    save_steps: float | None = None
    save_total_limit: int | None = None
    load_best_model_at_end: bool | None = None
    early_stopping_patience: int | None = None
    early_stopping_threshold: float | None = None
    lr_scheduler_type: str | None = None


@dataclass(frozen=True)
class Source:
    """Where a run was read from.

    Attributes:
        path: The path as the caller gave it.
        format: Name of the reader that read it.
        run: Name of the run inside the file, empty when the file holds one.
        others: Names of the runs in the same file that were not taken.
    """

    path: str = ""
    format: str = ""
    run: str = ""
    others: tuple[str, ...] = ()


@dataclass(frozen=True, eq=False, repr=False)
class Run(Plottable):
    """One training run as its log tells it.

    Attributes:
        train: Train loss; empty when the log has none.
        eval: Loss on held-out data; empty when the log has none.
        lr: Learning rates; empty where the log does not say.
        planned_epochs: Epochs that the schedule was made for; None where the log does not say.
        planned_steps: Optimizer steps of the whole schedule; None where the log does not say.
        settings: What else the log tells about how the run was set up.
        source: Where it came from.
        nonfinite: How many NaN or infinite values the log has, by key (gradient norms included).
        restarts: How often the step went back. A resumed run is joined, its rows in place of those
            they repeat; a fresh start is a run of its own.
        notes: What the reader had to assume, one sentence each, for a person to check.
    """

    train: Series = field(default_factory=Series)
    eval: Series = field(default_factory=Series)
    lr: LearningRates = field(default_factory=LearningRates)
    planned_epochs: float | None = None
    planned_steps: float | None = None
    settings: Settings = field(default_factory=Settings)
    source: Source = field(default_factory=Source)
    nonfinite: dict[str, int] = field(default_factory=dict[str, int])
    restarts: int = 0
    notes: tuple[str, ...] = ()

    def __repr__(self) -> str:
        return f"Run({_quoted(self.source.path)}, train={self.train!r}, eval={self.eval!r})"

    @property
    def steps_per_epoch(self) -> float | None:
        """Optimizer steps in one pass over the data, or None when the log cannot tell.

        Taken from the latest points that have both, because logs round the epoch (to 0.01 in many
        versions of transformers) and rounding matters least late in the run.
        """
        step = np.concatenate([self.train.step, self.eval.step])
        epoch = np.concatenate([self.train.epoch, self.eval.epoch])
        known = np.isfinite(step) & np.isfinite(epoch) & (epoch > 0) & (step > 0)
        if not known.any():
            if self.planned_steps and self.planned_epochs:
                return self.planned_steps / self.planned_epochs
            return None
        last = np.flatnonzero(known)[np.argmax(epoch[known])]
        return _near_integer(float(step[last] / epoch[last]), 0.006 / float(epoch[last]))


def _quoted(text: str | None) -> str:
    """Return a name from a log as Python would write it, without what a terminal obeys."""
    return repr(None if text is None else clean(text))


def _near_integer(value: float, tolerance: float) -> float:
    """Round `value` when an integer lies within the relative `tolerance`."""
    nearest = round(value)
    return float(nearest) if nearest and abs(value / nearest - 1) <= tolerance else value
