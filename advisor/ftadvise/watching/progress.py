"""How far a run in progress is, how it may end, and whether more training is expected to pay."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from ftadvise import priors
from ftadvise.errors import LogError
from ftadvise.fitting import Fit, fit
from ftadvise.forecasting import Forecast, forecast_from
from ftadvise.live import LEAST_EVALS, Decision, should_stop
from ftadvise.run import FloatArray, Run, Series
from ftadvise.thinning import epochs_known, epochs_of

IntArray = npt.NDArray[np.int64]

LEAST_FORECAST = {"eval": 3, "train": 5}  # losses; 3 as in `ftadvise train`
AHEAD_POINTS = 8
FURTHER = 1.25  # without a plan the forecast is for a quarter more, as in `ftadvise analyze`
_ROUNDED = 0.006  # of an epoch, in logs of transformers


@dataclass(frozen=True)
class Point:
    """One loss of the log: where it stands, and what it is; `step` is None where unknown."""

    epoch: float
    step: int | None
    loss: float


@dataclass(frozen=True, eq=False)
class Progress:
    """A run so far.

    Attributes:
        run: The run.
        target: `"eval"`, or `"train"` while the log has no eval loss.
        points: Finite losses of the target.
        epoch: Epochs done; 0 where nothing is known.
        step: Optimizer steps done; None where unknown.
        counts_epochs: Whether the log tells how many passes over the data were made.
        last: Last loss of the target; None before the first.
        best: Lowest loss of the target; None as above.
        train: Last train loss; None where there is none.
        end: Epoch that is forecast: the planned end, or without one a quarter further.
        forecast: Of the loss of the target there; None with too few, or when it is past.
        ahead: The forecasts on the way there, for drawing.
        decision: Whether to stop; None while there is no eval loss, since a train loss goes on
            falling while a model overfits.
        trouble: Why there is no forecast; empty where there is one, or none is due.
    """

    run: Run
    target: str
    points: int
    epoch: float
    step: int | None
    counts_epochs: bool
    last: Point | None
    best: Point | None
    train: Point | None
    end: float
    forecast: Forecast | None
    ahead: tuple[Forecast, ...]
    decision: Decision | None
    trouble: str = ""

    @property
    def wavers(self) -> bool:
        """Whether the next evaluation says stop if it is like the last: two in a row have to."""
        found = self.decision
        if found is None or found.stop or self.points < LEAST_EVALS:
            return False
        return found.probability_of_improvement < float(priors.load("trend")["stop"]["chance"])


def progress_of(run: Run) -> Progress:
    """Return how far `run` is and what is expected of the rest."""
    with np.errstate(all="ignore"):  # a warning of numpy would be written into the picture
        return _progress(run)


def _progress(run: Run) -> Progress:
    target = "eval" if np.isfinite(run.eval.loss).any() else "train"
    series = run.eval if target == "eval" else run.train
    epochs = epochs_of(run, series)
    usable = _usable(series, epochs)
    last = points_of(run, series, most=1)
    train = points_of(run, run.train, most=1)
    epoch = max((point.epoch for point in last + train), default=0.0)
    steps = np.concatenate([run.train.step, run.eval.step])
    planned = run.planned_epochs
    end = planned or FURTHER * epoch
    ahead, trouble = _foreseen(run, LEAST_FORECAST[target] - usable.size, end)
    return Progress(
        run=run,
        target=target,
        points=usable.size,
        epoch=epoch,
        step=round(float(np.nanmax(steps))) if np.isfinite(steps).any() else None,
        counts_epochs=epochs_known(run),
        last=last[0] if last else None,
        best=_best(series, epochs, usable),
        train=train[0] if train else None,
        end=end,
        forecast=ahead[-1] if ahead else None,
        ahead=ahead,
        decision=should_stop(run) if target == "eval" else None,
        trouble=trouble,
    )


def points_of(run: Run, series: Series, most: int | None = None) -> list[Point]:
    """Return the finite points of a series in order of time.

    Args:
        run: The run that the series is of.
        series: Its train or eval loss.
        most: Of a longer series every n-th point is returned, and the last; None for all.
    """
    epochs = epochs_of(run, series)
    usable = _usable(series, epochs)
    apart = 1 if most is None else -(-usable.size // most)
    kept = usable[::-1][:: max(1, apart)][::-1]
    return [_point(series, epochs, int(i)) for i in kept]


def is_at_end(epoch: float, step: int | None, run: Run) -> bool:
    """Say whether `epoch` and `step` are those of the planned end of a run."""
    if step is not None and run.planned_steps and step >= run.planned_steps:
        return True
    return bool(run.planned_epochs) and epoch >= (run.planned_epochs or 0.0) - _ROUNDED


def _foreseen(run: Run, missing: int, end: float) -> tuple[tuple[Forecast, ...], str]:
    if missing > 0:
        return (), "after one more loss" if missing == 1 else f"after {missing} more losses"
    try:
        fitted = fit(run)
        return _ahead(fitted, end), ""
    except LogError as error:
        return (), error.message
    except (ArithmeticError, ValueError) as error:  # numpy's too: a watch outlives a strange curve
        return (), f"{type(error).__name__}: {error}"


def _ahead(fitted: Fit, end: float) -> tuple[Forecast, ...]:
    last = float(fitted.points.epoch[-1])
    if end <= last + _ROUNDED:
        return ()
    places = np.linspace(last, end, AHEAD_POINTS)[1:]
    return tuple(forecast_from(fitted, float(at)) for at in places)


def _usable(series: Series, epochs: FloatArray) -> IntArray:
    """Return where the finite points of a series are, in order of time."""
    usable = np.flatnonzero(np.isfinite(series.loss) & np.isfinite(epochs))
    return usable[np.argsort(epochs[usable], kind="stable")]


def _best(series: Series, epochs: FloatArray, usable: IntArray) -> Point | None:
    if not usable.size:
        return None
    return _point(series, epochs, int(usable[np.argmin(series.loss[usable])]))


def _point(series: Series, epochs: FloatArray, at: int) -> Point:
    return Point(float(epochs[at]), _whole(float(series.step[at])), float(series.loss[at]))


def _whole(value: float) -> int | None:
    return round(value) if math.isfinite(value) else None
