"""The loss was still falling when the run ended.

What it means
-------------
The last evaluations fell by more than noise, and the last is the best.

Why it matters
--------------
The run ended before its best: a longer one would likely have reached a lower loss. With a decaying
learning rate part of the fall at the end is owed to the decay, so a longer run does not simply
continue this one.

Example
-------
    FT202 info: The eval loss was still falling at the end (epoch 3): by 2.4 % over the last
    evaluation, where one scatters by 0.6 %. More training would likely have helped.

What to do
----------
Train again from the start with more epochs, as recommended, and a schedule made for them.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ftadvise.numbers import percent, short
from ftadvise.rules.case import Case, Finding
from ftadvise.rules.measures import curve, ending, last_epoch

if TYPE_CHECKING:
    from collections.abc import Iterator

CODE = "FT202"
NAME = "still-improving"


def check(case: Case) -> Iterator[Finding]:
    """Yield a finding when the curve ends falling."""
    end = ending(case)
    if end is None or not end.falling or case.onset.onset_epoch is not None:
        return  # a curve that has turned up is not told to go on
    outlook = "More training would likely have helped."
    if case.fit.target == "train":
        outlook = "It had not finished fitting its data; whether that helps on others is unknown."
    last = last_epoch(case)
    yield Finding(
        CODE,
        "info",
        f"The {curve(case)} was still falling at the end (epoch {short(last)}): by "
        f"{percent(end.gain)} over the last {end.stretch}, where a point scatters by "
        f"{percent(case.fit.noise)}. {outlook}",
        {"last_epoch": last, "gain": end.gain, "noise": case.fit.noise},
        "Train from the start with more epochs and a schedule made for them.",
    )
