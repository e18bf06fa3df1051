"""The log holds NaN or infinite values.

What it means
-------------
A loss or a gradient norm was NaN or infinite at least once. The values are counted, and left out
of the curves.

Why it matters
--------------
A NaN loss means an overflow, a bad example (an empty label mask, for one) or a model that is
gone; whatever is trained after it may be worthless. There may be more than the log shows:
transformers hides NaN train losses by default (`logging_nan_inf_filter=True` puts the average in
their place, and leaves NaN batches out of the eval loss). An infinite gradient norm alone is
milder: with fp16 loss scaling such a step is skipped.

Example
-------
    FT104 error: The log has non-finite values: 3 in eval_loss, 1 in grad_norm. There may be more:
    transformers hides NaN train losses unless logging_nan_inf_filter is False.

What to do
----------
Train with `logging_nan_inf_filter: false` to see them all. Look for examples without a trained
token, use bf16 instead of fp16, lower the learning rate or clip the gradient.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ftadvise.rules.case import Case, Finding
from ftadvise.text import clean

if TYPE_CHECKING:
    from collections.abc import Iterator

CODE = "FT104"
NAME = "non-finite-values"
MOST_NAMED = 5


def check(case: Case) -> Iterator[Finding]:
    """Yield a finding when the log has non-finite values: an error, gradient norms a warning."""
    counts = sorted(case.run.nonfinite.items(), key=lambda pair: -pair[1])
    if not counts:
        return
    named = [f"{count} in {clean(key, 60)}" for key, count in counts[:MOST_NAMED]]
    if len(counts) > MOST_NAMED:
        named.append(f"{len(counts) - MOST_NAMED} more keys")
    gradients_only = all("grad" in key.lower() for key, _ in counts)
    yield Finding(
        CODE,
        "warning" if gradients_only else "error",
        f"The log has non-finite values: {', '.join(named)}. There may be more: transformers "
        "hides NaN train losses unless logging_nan_inf_filter is False.",
        {clean(key, 60): count for key, count in counts[:MOST_NAMED]},
        "Set logging_nan_inf_filter to False, look for examples without a trained token, and "
        "prefer bf16 to fp16.",
    )
