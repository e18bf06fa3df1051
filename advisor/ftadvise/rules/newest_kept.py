"""Only the newest checkpoints are kept, whether or not they are the best.

What it means
-------------
`save_total_limit` is set and `load_best_model_at_end` is not known to be true. transformers then
deletes the oldest checkpoints; it spares the best one only if it knows the best, through
`load_best_model_at_end` or `metric_for_best_model`.

Why it matters
--------------
In a run that overfits, the best checkpoint is an old one. When more saves follow than the limit
allows, it is deleted.

Example
-------
    FT304 warning: save_total_limit 2 keeps the newest checkpoints, not the best: the best
    evaluation, at step 300, is 4 saves old, so its checkpoint is gone unless
    metric_for_best_model was set.

What to do
----------
Set `load_best_model_at_end: true` with `metric_for_best_model: eval_loss`. The best checkpoint is
then spared whatever its age; `ftadvise train` keeps the best K.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING

import numpy as np

from ftadvise.numbers import count, short
from ftadvise.rules.case import Case, Finding
from ftadvise.rules.measures import best_eval_step, positive, save_steps

if TYPE_CHECKING:
    from collections.abc import Iterator

CODE = "FT304"
NAME = "newest-kept-not-best"


def check(case: Case) -> Iterator[Finding]:
    """Yield a finding when old checkpoints are deleted and the best one is not known to be spared."""
    limit = positive(case.used.save_total_limit)
    if limit is None or case.used.load_best_model_at_end:
        return
    step, age = best_eval_step(case), _saves_since_best(case)
    fate = ""
    if step is not None and age is not None:
        gone = age >= limit
        fate = (
            f": the best evaluation, at step {short(step)}, is {count(age, 'save')} old, so its "
            f"checkpoint is {'gone unless metric_for_best_model was set' if gone else 'still there'}"
        )
    yield Finding(
        CODE,
        "warning",
        f"save_total_limit {short(limit)} keeps the newest checkpoints, not the best{fate}.",
        {"save_total_limit": limit, "best_step": step, "saves_since_best": age},
        "Set load_best_model_at_end to true with metric_for_best_model eval_loss.",
    )


def _saves_since_best(case: Case) -> int | None:
    """Return how many checkpoints are newer than the best evaluation; None where unknown."""
    step, every = best_eval_step(case), save_steps(case)
    known = np.concatenate([case.run.eval.step, case.run.train.step])
    known = known[np.isfinite(known)]
    if step is None or every is None or every < 1 or not known.size:
        return None
    return max(0, math.floor(float(known.max()) / every) - math.floor(step / every))
