"""One answer for what can only hold one: a configuration file, or settings to paste."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ftadvise.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ftadvise.advice import Advice
    from ftadvise.run import Run


def one_answer(runs: Sequence[Run], price: float | None) -> Advice:
    """Return the advice from one run, or from several of the same fine-tune together.

    Args:
        runs: At least one.
        price: As in `advise`.

    Raises:
        UsageError: FT411 if the runs are of different fine-tunes, which have different answers.
    """
    from ftadvise.advising import advise
    from ftadvise.together import together

    found = together(runs)
    if found.others:
        raise UsageError(
            f"the logs are {len(runs)} runs of different fine-tunes, and one file holds one answer",
            hint="Name the log of the fine-tune that is going to be run again.",
        )
    return advise(found.runs[-1], past=found.runs[:-1], price=price)
