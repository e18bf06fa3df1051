"""What the formats for pipelines are made of: the findings of each log, or why there is no advice."""

from __future__ import annotations

import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ftadvise.errors import FtadviseError
from ftadvise.reports.words import said
from ftadvise.text import clean

if TYPE_CHECKING:
    from collections.abc import Callable

    from ftadvise.advice import Advice
    from ftadvise.rules.case import Finding


@dataclass(frozen=True)
class RunFindings:
    """What the formats for pipelines tell of one run.

    Attributes:
        path: Its log; None for the standard input.
        run: Its name in the log; empty for the only one.
        findings: The findings that are told.
        error: The code of what went wrong; empty where there is advice.
        why: What went wrong and what to do, as one line of harmless text.
    """

    path: str | None
    run: str
    findings: tuple[Finding, ...] = ()
    error: str = ""
    why: str = ""


def run_findings(
    path: str, result: Advice | FtadviseError, told: Callable[[Finding], bool]
) -> RunFindings:
    """Return what is told of one run.

    Args:
        path: Its log as it was given.
        result: The answer, or what went wrong.
        told: Whether a finding is told.
    """
    where = None if path == "-" else from_root(path)
    if isinstance(result, FtadviseError):
        message = result.message.removeprefix(f"{clean(path, 1000)}: ")
        hint = f" ({result.hint})" if result.hint else ""
        return RunFindings(where, "", error=said(result.code), why=said(f"{message}{hint}"))
    run = result.source["run"] or ""
    if f"/{where}".endswith(f"/{run}"):  # called as its file, which a folder does with its logs
        run = ""
    return RunFindings(where, run, tuple(filter(told, result.findings)))


def from_root(path: str) -> str:
    """Return a path from the root of the checkout, with slashes; one that lies elsewhere whole.

    The root is `$GITHUB_WORKSPACE`, where a step may have a working folder of its own, or else the
    working folder.
    """
    whole = os.path.abspath(path)  # noqa: PTH100 - a link stays one: it is the name in the checkout
    root = os.path.abspath(os.environ.get("GITHUB_WORKSPACE") or ".")  # noqa: PTH100
    inside = whole.startswith(root.rstrip(os.sep) + os.sep)
    return (os.path.relpath(whole, root) if inside else whole).replace(os.sep, "/")


def names_of_rules() -> dict[str, str]:
    """Return the short name of each rule by its code."""
    from ftadvise.rules import all_rules

    return {rule.code: rule.name for rule in all_rules()}


def sentence(finding: Finding) -> str:
    """Return what was found and what to do, as one line of harmless text."""
    return said(f"{finding.message} {finding.fix}")
