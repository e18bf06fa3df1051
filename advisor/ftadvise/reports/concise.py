"""Findings as one line each, for a terminal, a hook of git or grep."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ftadvise.numbers import count
from ftadvise.reports.run_findings import sentence
from ftadvise.reports.words import place, said

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ftadvise.reports.run_findings import RunFindings


def lines(runs: Sequence[RunFindings]) -> str:
    """Return a line for each finding and each error, in the order of the logs, and the count."""
    told: list[str] = []
    for run in runs:
        where = place(run.path or "-") + (f" ({said(run.run)})" if run.run else "")
        if run.error:
            told.append(f"{where}: {run.error} error: {run.why}")
        told += [
            f"{where}: {said(finding.code)} {said(finding.level)}: {sentence(finding)}"
            for finding in run.findings
        ]
    found = sum(len(run.findings) for run in runs)
    failed = sum(bool(run.error) for run in runs)
    unread = f", {failed} without advice" if failed else ""
    return "\n".join([*told, f"{count(found, 'finding')} in {count(len(runs), 'run')}{unread}"])
