"""Patience is too long for the run: it cannot stop it before its end.

What it means
-------------
From the best evaluation on, patience needs more evaluations than are left in the run.

Why it matters
--------------
Early stopping is set but stops nothing: the run always goes to its last epoch. As a safety net
that is fine, as a way to save compute it is not.

Example
-------
    FT301 info: Patience 3 with one evaluation per epoch and a best at epoch 5 cannot fire before
    epoch 8, so under a cap of 7 it never stops anything.

What to do
----------
Evaluate more often, which makes the same patience shorter, or raise `num_train_epochs` and let
patience end the run; with a decaying learning rate the best choice is mostly a run of the right
length. What counts in any case is to load the best checkpoint at the end.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ftadvise.numbers import short
from ftadvise.rules.case import Case, Finding
from ftadvise.rules.measures import axis_known, best, eval_spacing, positive, spacing_text

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ftadvise.run import Settings

CODE = "FT301"
NAME = "patience-cannot-fire"


def check(case: Case) -> Iterator[Finding]:
    """Yield a finding for each of the used and the proposed settings under which it cannot."""
    if not axis_known(case):
        return
    seen = float(case.fit.points.epoch[best(case)])
    if case.fit.target == "eval":
        planned = positive(case.run.planned_epochs) or positive(case.used.num_train_epochs)
        yield from _judge(case, case.used, planned, seen)
    # The earlier of the expected best and the one seen: if even that one is too late, all are.
    expected = min(positive(case.best_epoch) or seen, seen)
    yield from _judge(case, case.proposed, positive(case.proposed.num_train_epochs), expected)


def _judge(
    case: Case, settings: Settings, cap: float | None, best_epoch: float
) -> Iterator[Finding]:
    patience = positive(settings.early_stopping_patience)
    if patience is None or cap is None:
        return
    spacing = positive(eval_spacing(case, settings, cap))
    if spacing is None:
        return
    # The best is found at an evaluation: the first at or after the best epoch.
    found = spacing * max(1, math.ceil(best_epoch / spacing - 0.02))
    fires = found + patience * spacing
    if fires < cap * (1.0 - 1e-9):
        return
    used = settings is case.used
    facts = f"atience {short(patience)} with {spacing_text(spacing)} and a best at epoch {short(found)}"
    end = f"fire before epoch {short(fires)}, so under a cap of {short(cap)} it never"
    yield Finding(
        CODE,
        "warning" if used else "info",
        f"In this run, p{facts} could not {end} stopped anything."
        if used
        else f"P{facts} cannot {end} stops anything: it is only a safety net.",
        {"patience": patience, "best_epoch": found, "fires_at": fires, "num_train_epochs": cap},
        "Evaluate more often if early stopping is to save compute."
        if used
        else "Rely on the number of epochs and on the best checkpoint, which is loaded at the end.",
    )
