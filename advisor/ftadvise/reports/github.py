"""Findings as annotations of GitHub Actions.

https://docs.github.com/en/actions/reference/workflows-and-actions/workflow-commands
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from ftadvise.numbers import count
from ftadvise.reports.run_findings import names_of_rules, sentence
from ftadvise.reports.words import LONGEST, place, said

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ftadvise.reports.run_findings import RunFindings

_COMMANDS = {"error": "error", "warning": "warning", "info": "notice"}
# As in toCommandValue and escapeProperty of https://github.com/actions/toolkit.
_DATA = str.maketrans({"%": "%25", "\r": "%0D", "\n": "%0A"})
_PROPERTY = _DATA | str.maketrans({":": "%3A", ",": "%2C"})


def commands(runs: Sequence[RunFindings]) -> str:
    """Return a workflow command for each finding and each error, the worst first, and the count.

    GitHub shows ten annotations of each kind in a step, so the order says which are seen.
    """
    told: dict[str, list[str]] = {name: [] for name in _COMMANDS.values()}
    names = names_of_rules()
    for run in runs:
        if run.error:
            told["error"].append(_command("error", run, run.error, run.why))
        for finding in run.findings:
            name = _COMMANDS.get(finding.level, "notice")
            title = " ".join(filter(None, (finding.code, names.get(finding.code), run.run)))
            told[name].append(_command(name, run, title, sentence(finding)))
    counts = ", ".join(count(len(lines), name) for name, lines in told.items())
    lines = [line for lines in told.values() for line in lines]
    return "\n".join([*lines, f"{count(len(runs), 'run')}: {counts}"])


def _command(name: str, run: RunFindings, title: str, message: str) -> str:
    path = run.path or ""
    properties = {
        "file": path if path.isprintable() else place(path, LONGEST),
        "title": said(title),
    }
    told = ",".join(f"{k}={v.translate(_PROPERTY)}" for k, v in properties.items() if v)
    return f"::{name} {told}::{message.translate(_DATA)}"
