"""What a patience would have done on the log: when it stops, what it keeps, what that costs."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np

from ftadvise.errors import FtadviseError
from ftadvise.policies import replay
from ftadvise.reports.words import plain
from ftadvise.stopping import watched
from ftadvise.thinning import epochs_of

if TYPE_CHECKING:
    from ftadvise.advice import Advice
    from ftadvise.run import Run

PATIENCES = (1, 3, 5)
CLEARLY = 1.5  # times as many evaluations
TOLERANCE = 0.02  # of a stretch: steps that are logged a little off


@dataclass(frozen=True)
class Stop:
    """What a stop rule would have done on a log.

    Attributes:
        name: The rule, in words.
        label: The same in a few letters.
        advised: Whether it is the rule that is recommended.
        stopped: Whether it stops before the log ends.
        at: Epoch at which it stops, or of the last evaluation.
        kept: Epoch of the checkpoint that it keeps; None without a finite loss.
        spent: Evaluations until then.
        total: Evaluations that there were.
        regret: Loss of what it keeps above the lowest of those evaluations, as a share; None where unknown.
    """

    name: str
    label: str
    advised: bool
    stopped: bool
    at: float
    kept: float | None
    spent: int
    total: int
    regret: float | None


def stops(advice: Advice) -> tuple[Stop, ...]:
    """Return what patience 1, 3, 5 and the advised rule would have done; none without eval loss.

    The advised patience counts evaluations at the advised distance, so it is shown that many of
    the log, where that has more of them.
    """
    if advice.fit.target != "eval":
        return ()
    advised = advice.recommendation
    patience, threshold = advised.early_stopping_patience, advised.early_stopping_threshold
    rarer = _rarer(advice.run, advised.eval_steps)
    name = f"patience {patience}, threshold {plain(threshold)}"
    if rarer is not advice.run:
        name += f", evaluating every {advised.eval_steps} steps"
    try:
        told = [_stop(advice.run, p, 0.0, f"patience {p}") for p in PATIENCES]
        mine = _stop(rarer, patience, threshold, f"{name} (advised)")
    except FtadviseError:
        return ()
    return (*told, replace(mine, advised=True, label=f"{mine.label} (advised)"))


def _rarer(run: Run, every: int | None) -> Run:
    """Return the run with one evaluation in every so many steps, where it has clearly more."""
    step = run.eval.step
    if every is None or not np.isfinite(step).all() or step.size < 2:
        return run
    stretch = np.maximum(np.ceil(step / every - TOLERANCE), 1.0)
    first = np.unique(stretch, return_index=True)[1]
    last = np.append(first[1:], step.size) - 1  # of each stretch: the one at its end
    if last.size < 2 or step.size < CLEARLY * last.size:
        return run
    return replace(run, eval=run.eval.take(last))


def _stop(run: Run, patience: int, threshold: float, name: str) -> Stop:
    found = replay(run, f"transformers:patience={patience},threshold={threshold!r}")
    series = watched(run)
    epochs = epochs_of(run, series)
    best = None
    if math.isfinite(found.best_loss):
        lowest = series.loss[: found.evals_spent] == found.best_loss
        best = float(epochs[int(lowest.argmax())])
    return Stop(
        name=name,
        label=f"patience {patience}",
        advised=False,
        stopped=found.stopped,
        at=float(epochs[found.evals_spent - 1]),
        kept=best,
        spent=found.evals_spent,
        total=found.evals_total,
        regret=found.regret if math.isfinite(found.regret) else None,
    )
