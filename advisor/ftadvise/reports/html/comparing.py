"""Several logs beside each other: a row each, and the settings in which the runs differ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ftadvise.errors import FtadviseError
from ftadvise.numbers import short
from ftadvise.reports import words
from ftadvise.rules.case import LEVELS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ftadvise.advice import Advice
    from ftadvise.rules.case import Finding
    from ftadvise.run import LearningRates

_MOST_VALUES = 6  # of one setting that are named


@dataclass(frozen=True)
class Compared:
    """One log as a row of the table: the advice, or the error.

    Attributes:
        title: What was analysed.
        anchor: Id of its section; empty where it has none.
        advice: The answer; None where there is an error.
        error: What went wrong; None where there is advice.
        trouble: The same in words, without the path that stands beside it.
        peak_rate: Highest learning rate logged; None where unknown.
        levels: How many findings there are of each level that has any.
    """

    title: str
    anchor: str
    advice: Advice | None
    error: FtadviseError | None
    trouble: str
    peak_rate: float | None
    levels: list[tuple[str, int]]


def compared(path: str, title: str, answer: Advice | FtadviseError, anchor: str = "") -> Compared:
    """Return one log as a row of the table.

    Args:
        path: Of the log, as it was given.
        title: What it is called on the page.
        answer: What became of it.
        anchor: Id of its section; empty where it has none.
    """
    if isinstance(answer, FtadviseError):
        return Compared(
            title, "", None, answer, answer.message.removeprefix(f"{path}: "), None, []
        )
    return Compared(
        title, anchor, answer, None, "", peak_rate(answer.run.lr), _levels(answer.findings)
    )


def peak_rate(rates: LearningRates) -> float | None:
    """Return the highest learning rate that was logged; None where none was."""
    usable = rates.rate[np.isfinite(rates.rate)]
    return float(usable.max()) if usable.size else None


def differences(advised: Sequence[Advice]) -> list[str]:
    """Return in which settings the runs differ, a phrase with the values each."""
    columns = {
        "peak learning rate": [_number(peak_rate(one.run.lr)) for one in advised],
        "steps an epoch": [_number(one.observed.steps_per_epoch) for one in advised],
        "schedule": [words.said(one.observed.lr_schedule or "unknown") for one in advised],
        "epochs": [short(one.observed.epochs) for one in advised],
    }
    told: list[str] = []
    for name, values in columns.items():
        different = list(dict.fromkeys(values))
        if len(different) > 1:
            more = ", ..." if len(different) > _MOST_VALUES else ""
            told.append(f"{name} ({', '.join(different[:_MOST_VALUES])}{more})")
    return told


def folder(names: Sequence[str]) -> str:
    """Return the folder that all names begin with, its slash included; empty where there is none."""
    shared = 0
    for same in zip(*(name.split("/")[:-1] for name in names), strict=False):
        if len(set(same)) > 1:
            break
        shared += 1
    return "".join(f"{part}/" for part in names[0].split("/")[:shared])


def _levels(findings: tuple[Finding, ...]) -> list[tuple[str, int]]:
    numbers = ((level, sum(f.level == level for f in findings)) for level in LEVELS)
    return [(level, n) for level, n in numbers if n]


def _number(value: float | None) -> str:
    return "unknown" if value is None else short(value)
