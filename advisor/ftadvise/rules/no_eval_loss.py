"""The log has no eval loss, so everything is read off the train loss.

What it means
-------------
The log holds no loss on held-out data, or only one value of it. The advice is based on the train
loss instead.

Why it matters
--------------
Overfitting is a rise of the loss on data that are not trained on. The train loss is measured on
the very data that are being memorised and goes on falling, so it cannot show where the best
checkpoint lies, and early stopping has nothing to watch.

Example
-------
    FT101 warning: The log has no eval loss: everything here is read off the train loss, which
    cannot show overfitting.

What to do
----------
Hold out a part of the data (a few hundred examples, or 5 %) and evaluate on it during training:
`eval_strategy: steps` or `epoch`.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ftadvise.rules.case import Case, Finding

if TYPE_CHECKING:
    from collections.abc import Iterator

CODE = "FT101"
NAME = "no-eval-loss"


def check(case: Case) -> Iterator[Finding]:
    """Yield a finding when the train loss had to be fitted."""
    if case.fit.target == "eval":
        return
    usable = len(case.run.eval.finite())
    if usable:
        have = "The log has too few eval losses for a curve"
    elif len(case.run.eval):
        have = "The log has no finite eval loss"
    else:
        have = "The log has no eval loss"
    yield Finding(
        CODE,
        "warning",
        f"{have}: everything here is read off the train loss, which cannot show overfitting.",
        {"eval_points": usable, "train_points": len(case.run.train)},
        "Hold out a part of the data and evaluate on it at least once per epoch.",
    )
