"""What a rule looks at and what it yields: the data types behind the `register_rules` hook."""

from __future__ import annotations

import inspect
import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from types import ModuleType

    from ftadvise.fitting import Fit
    from ftadvise.onset import Onset
    from ftadvise.run import Run, Settings

LEVELS = ("error", "warning", "info")


@dataclass(frozen=True)
class Finding:
    """One coded finding.

    Attributes:
        code: Stable code, such as `"FT201"`.
        level: `"error"`, `"warning"` or `"info"`.
        message: What was found, in one or two sentences, with its numbers.
        evidence: The numbers behind it, by name; finite numbers, text or None.
        fix: What to do, in one sentence.
    """

    code: str
    level: str
    message: str
    evidence: dict[str, float | str | None] = field(default_factory=dict[str, float | str | None])
    fix: str = ""


@dataclass(frozen=True, eq=False)
class Case:
    """Everything a rule may look at.

    Attributes:
        run: The run.
        fit: The posterior over laws; `fit.target` says which series it describes.
        onset: Where overfitting begins.
        used: How this run was set up, as far as its log tells.
        proposed: How the advice would set up the next run.
        gain_per_eval: Expected fall of the loss, in the units of the log, from one evaluation to
            the next in the last third of the next run.
        best_epoch: Expected epoch of the best evaluation of the next run.
    """

    run: Run
    fit: Fit
    onset: Onset
    used: Settings
    proposed: Settings
    gain_per_eval: float
    best_epoch: float


@dataclass(frozen=True)
class Rule:
    """One rule: what the `register_rules` hook returns.

    Attributes:
        code: Stable code, such as `"FT201"`.
        name: Short name with hyphens, such as `"overfitting"`.
        doc: One line that sums it up, then the sections "What it means", "Why it matters",
            "Example" and "What to do", each heading underlined with dashes (see `sections`), as
            `ftadvise rule CODE` prints it.
        check: Yields the findings for a case, usually none or one.
    """

    code: str
    name: str
    doc: str
    check: Callable[[Case], Iterator[Finding]]

    @property
    def summary(self) -> str:
        """The first line of the documentation."""
        return self.doc.strip().partition("\n")[0].strip()


def sections(doc: str) -> dict[str, str]:
    """Return the sections of a rule's documentation by heading, in order.

    A heading is a line of its own with a line of dashes below it.
    """
    lines = [line.rstrip() for line in inspect.cleandoc(doc).splitlines()] + [""]
    found: dict[str, list[str]] = {}
    heading = ""
    for line, below in itertools.pairwise(lines):
        if line and _underlines(below):
            heading = line.strip()
            found[heading] = []
        elif heading and not (_underlines(line) and not found[heading]):
            found[heading].append(line)
    return {name: "\n".join(body).strip() for name, body in found.items()}


def _underlines(line: str) -> bool:
    return len(line) >= 3 and set(line) == {"-"}


def rule_of(module: ModuleType) -> Rule:
    """Make a rule of a module with `CODE`, `NAME`, `check` and its documentation as docstring."""
    return Rule(module.CODE, module.NAME, module.__doc__ or "", module.check)
