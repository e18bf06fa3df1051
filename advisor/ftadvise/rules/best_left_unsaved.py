"""Some evaluations fall between two checkpoints, so the best may not be saved.

What it means
-------------
`eval_steps` is no multiple of `save_steps`: some evaluated models are never written to disk.

Why it matters
--------------
If the best evaluation is one of them, the model behind it is gone. transformers then reports its
score, and with `load_best_model_at_end` loads another checkpoint under it.

Example
-------
    FT303 warning: Evaluations come every 50 steps and checkpoints every 100, so some evaluated
    models were never saved; the best one, at step 350, was among them.

What to do
----------
Set `save_steps` equal to `eval_steps`, with the same strategy for both, and limit the disk with
`save_total_limit` and `load_best_model_at_end: true`.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

from ftadvise.numbers import short
from ftadvise.rules.case import Case, Finding
from ftadvise.rules.measures import best_eval_step, positive, save_steps

if TYPE_CHECKING:
    from collections.abc import Iterator

CODE = "FT303"
NAME = "best-left-unsaved"


def check(case: Case) -> Iterator[Finding]:
    """Yield a finding when checkpoints do not fall on every evaluation."""
    evals, saves = positive(case.used.eval_steps), save_steps(case)
    if evals is None or saves is None or _multiple(evals, saves):
        return
    if (evals < 1) != (saves < 1):  # one a share of the run, the other a number of steps
        return
    step = best_eval_step(case) if saves >= 1 else None
    unsaved = step is not None and not _multiple(step, saves)
    fate = ""
    if step is not None:
        fate = f"; the best one, at step {short(step)}, was {'' if unsaved else 'not '}among them"
    unit = "steps" if evals >= 1 else "of the run"
    yield Finding(
        CODE,
        "warning",
        f"Evaluations come every {short(evals)} {unit} and checkpoints every {short(saves)}, so "
        f"some evaluated models were never saved{fate}.",
        {"eval_steps": evals, "save_steps": saves, "best_step": step},
        "Set save_steps equal to eval_steps.",
    )


def _multiple(number: float, of: float) -> bool:
    ratio = number / of
    return math.isfinite(ratio) and ratio > 0.5 and abs(ratio - round(ratio)) < 1e-6 * ratio
