"""The promises of a law: tables of the right shape, and a fit that it takes part in, not over."""

from __future__ import annotations

from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np

from ftadvise import plugins
from ftadvise.fitting import fit
from ftadvise.forecasting import forecast
from ftadvise.hookspecs import hookimpl
from ftadvise.laws import Axes, Law
from ftadvise.run import as_floats
from ftadvise.schedules import Schedule
from ftadvise.testing.made import known_run, true_loss
from ftadvise.testing.promises import answer, require, require_name, require_type

if TYPE_CHECKING:
    from collections.abc import Callable

    from ftadvise.run import FloatArray, Run

    Part = Callable[[Axes, FloatArray], FloatArray]

MOST_SHAPES = 20_000  # every fit tries all of them
MOST_SHARE = 0.9  # of the posterior, on a curve that a built-in law has made
WORSE = 0.02  # by how much a forecast may come out worse, as a share of the loss

_LENGTHS = (0.2, 5.0, 1000.0)  # of runs, in epochs


def check_law(law: Law) -> None:
    """Check that `law` keeps the promises that the posterior relies on.

    Its grid and its prior must be finite and of one length, its functions answer with a finite
    row for every shape and a column for every point, each by itself, the same every time, and
    leave what they are given alone. The falling part begins at 1 and falls (or is 0 throughout).
    In a fit of curves whose truth is known the law must neither take the whole posterior nor make
    the forecast worse.

    Args:
        law: The law to check.

    Raises:
        AssertionError: The law breaks a promise.
    """
    require_type(law, Law, "register_laws")
    what = require_name(law.name, "law")
    require(bool(law.formula), f"{what} has no formula")
    _check_grid(law, what)
    for name, part in (("falling", law.falling), ("fixed", law.fixed)):
        for axes in _all_axes():
            _check_part(part, axes, law.shapes, f"{what}: {name}")
    _check_fall(law, what)
    _check_fits(law, what)


def _check_grid(law: Law, what: str) -> None:
    shapes, log_prior = np.asarray(law.shapes), np.asarray(law.log_prior)
    require(shapes.ndim == 2, f"{what}: shapes has {shapes.ndim} dimensions, not 2")
    require(shapes.dtype == np.float64, f"{what}: shapes is {shapes.dtype}, not float64")
    count = len(shapes)
    require(0 < count <= MOST_SHAPES, f"{what} has {count} shapes; 1 to {MOST_SHAPES} are allowed")
    require(bool(np.isfinite(shapes).all()), f"{what}: shapes are not all finite")
    require(
        log_prior.shape == (count,),
        f"{what}: log_prior has shape {log_prior.shape}, not ({count},), one for every shape",
    )
    require(bool(np.isfinite(log_prior).all()), f"{what}: log_prior is not finite throughout")
    weight = float(np.exp(log_prior).sum())
    require(
        weight <= 1.0 + 1e-9,
        f"{what}: its prior weights add up to {weight:.3g}; they are a share, at most 1",
    )


def _axes(epochs: float, points: int, kind: str = "linear") -> Axes:
    at = np.linspace(0.0, epochs, points)
    schedule = Schedule(kind)
    return Axes(
        as_floats(schedule.progress(at, epochs)),
        as_floats(schedule.annealing(at, epochs)),
        as_floats(at),
        epochs,
    )


def _all_axes() -> list[Axes]:
    """Return axes of short and long runs, of one point, and of a run whose rate is zero."""
    still = as_floats(np.zeros(5))
    stopped = Axes(still, still, as_floats(np.linspace(0.0, 3.0, 5)), 3.0)
    made = [_axes(epochs, 17) for epochs in _LENGTHS]
    return [*made, _axes(5.0, 17, "constant"), _axes(3.0, 1), stopped]


def _check_part(part: Part, axes: Axes, shapes: FloatArray, what: str) -> None:
    grid = as_floats(shapes).reshape(shapes.shape)
    count, points = len(grid), axes.progress.size
    table = _table(part, axes, grid, what)
    again = _table(part, axes, grid, what)
    require(np.array_equal(table, again), f"{what} answers otherwise when it is asked again")
    rows = np.arange(count)[::-1][: max(1, count // 2)].repeat(2)
    some = _table(part, axes, grid[rows], what)
    require(
        np.allclose(some, table[rows], rtol=1e-9, atol=1e-12),
        f"{what}: a row depends on which other shapes are asked for; each is drawn by itself",
    )
    columns = np.arange(points)[min(1, points - 1) :: 3]
    fewer = Axes(axes.progress[columns], axes.annealing[columns], axes.epoch[columns], axes.unit)
    some = _table(part, fewer, grid, what)
    require(
        np.allclose(some, table[:, columns], rtol=1e-9, atol=1e-12),
        f"{what}: a column depends on which other points are asked for; each stands for itself",
    )


def _table(part: Part, axes: Axes, shapes: FloatArray, what: str) -> FloatArray:
    table: Any = answer(what, part, axes, shapes)
    wanted = (shapes.shape[0], axes.progress.size)
    require(isinstance(table, np.ndarray), f"{what} returned {type(table).__name__}, not an array")
    require(
        table.shape == wanted,
        f"{what} has shape {table.shape}, not {wanted}: a row for a shape, a column for a point",
    )
    require(bool(np.isfinite(table).all()), f"{what} is not finite throughout")
    return np.asarray(table, dtype=np.float64)


def _check_fall(law: Law, what: str) -> None:
    for epochs in _LENGTHS:
        table = _table(law.falling, _axes(epochs, 33, "constant"), law.shapes, f"{what}: falling")
        table = table[table.any(axis=1)]  # a law may have no falling part
        if not table.size:
            continue
        start = table[:, 0]
        require(
            bool(np.allclose(start, 1.0)),
            f"{what}: falling begins at {start[np.abs(start - 1.0).argmax()]:.3g}, not at 1",
        )
        require(bool((np.diff(table) <= 1e-9).all()), f"{what}: falling rises on the way")
        require(bool((table >= 0).all()), f"{what}: falling becomes negative")


def _check_fits(law: Law, what: str) -> None:
    mine = SimpleNamespace(register_laws=hookimpl(lambda: [law]))
    for rise in (0.0, 0.04):
        for kind in ("linear", "constant"):
            run = known_run(rise=rise, kind=kind)
            where = f"a curve of {'' if rise else 'no '}overfitting under a {kind} rate"
            with plugins.only():
                before = _missed(run, rise, kind)
            with plugins.only(mine=mine):
                shares = {one.name: one.share for one in answer(what, fit, run).laws}
                after = answer(what, _missed, run, rise, kind)
            share = shares.get(law.name, 0.0)
            require(
                share <= MOST_SHARE,
                f"{what} takes {share:.0%} of the posterior on {where}, which another law has made",
            )
            require(
                after <= before + WORSE,
                f"{what} makes the forecast of {where} worse: off by {after:.1%}, not {before:.1%}",
            )


def _missed(run: Run, rise: float, kind: str) -> float:
    """Return how far a forecast of the end of twice the run misses it, as a share of the loss."""
    at = 2.0 * float(run.planned_epochs or 1.0)
    said = forecast(run, at=at, epochs=at)
    truth = float(true_loss(np.array([at]), at, rise, kind)[0])
    values = np.array([said.median, said.low, said.high])
    require(bool(np.isfinite(values).all()), f"a forecast comes out as {said.median}")
    return abs(said.median / truth - 1.0)
