"""Which curves the chart of the next run shows: the ways in which it may go."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ftadvise.numbers import chance, short
from ftadvise.reports.axes import Axis
from ftadvise.reports.html.plot import Band, Dot, Line, Plot, settled, y_axes
from ftadvise.reports.html.this_run import smooth
from ftadvise.scenarios import paths

if TYPE_CHECKING:
    from ftadvise.advice import Advice, Scenario
    from ftadvise.scenarios import Path

ROLES = {
    "normal convergence": "normal",
    "continued improvement": "continued",
    "early convergence": "early",
}
STEEP = 0.25  # of the way: what comes before may lie above the chart
RARE = 0.05  # below this chance a way may lie outside of it


def next_run(advice: Advice) -> Plot | None:
    """Return the chart of the ways in which the recommended run may go; None where it has none."""
    told = {scenario.name: scenario for scenario in advice.scenarios}
    known = [one for one in paths(advice.fit, advice.num_train_epochs) if one.name in told]
    if not known:
        return None
    found = sorted(known, key=lambda one: told[one.name].probability)
    likely = found[-1]
    role = ROLES[likely.name]
    band = Band(f"90 % of {likely.name}", role, likely.epochs, likely.low, likely.high)
    before = _before(advice)
    even, log, in_log = y_axes([
        advice.recommendation.expected_eval_loss,
        *settled(band.x, band.low, STEEP),
        *settled(band.x, band.high, STEEP),
        *(
            level
            for one in found
            if told[one.name].probability >= RARE or one is likely
            for level in settled(one.epochs, one.median, STEEP)
        ),
        *(level for line in before for level in settled(line.x, line.y, STEEP)),
    ])  # fmt: skip
    return Plot(
        said=_said(advice),
        unit="epoch",
        lines=(*before, *(_way(one, told[one.name]) for one in found)),
        bands=(band,),
        uprights=(),
        dots=tuple(dot for one in found for dot in _best(one, told[one.name])),
        x=Axis(0.0, float(advice.num_train_epochs)),
        y=even,
        y_log=log,
        log=in_log,
    )


def _way(path: Path, scenario: Scenario) -> Line:
    name = f"{path.name} ({chance(scenario.probability)})"
    return Line(name, ROLES[path.name], "line", path.epochs, path.median)


def _best(path: Path, scenario: Scenario) -> tuple[Dot, ...]:
    if scenario.best_epoch is None:
        return ()
    loss = float(np.interp(scenario.best_epoch, path.epochs, path.median))
    return (Dot("best evaluation (median)", ROLES[path.name], scenario.best_epoch, loss),)


def _before(advice: Advice) -> tuple[Line, ...]:
    """Return the curve of the run in hand, as far as the next one goes."""
    x, y = smooth(advice)
    within = x <= advice.num_train_epochs
    if within.sum() < 2:
        return ()
    name = f"this run's {advice.fit.target} loss, smoothed"
    return (Line(name, "before", "dash", x[within], y[within]),)


def _said(advice: Advice) -> str:
    ways = (
        f"{one.name} {chance(one.probability)}, best at epoch {short(one.best_epoch)}"
        for one in advice.scenarios
        if one.best_epoch is not None
    )
    return f"How the next run of {advice.num_train_epochs} epochs may go: {'; '.join(ways)}."
