"""Findings as test results in JUnit XML, which GitLab, Jenkins and others show."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING
from xml.sax.saxutils import escape, quoteattr

from ftadvise.reports.run_findings import names_of_rules, sentence
from ftadvise.reports.words import LONGEST, place, said

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ftadvise.reports.run_findings import RunFindings

_NO_XML = re.compile("[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")


def report(runs: Sequence[RunFindings]) -> str:
    """Return the document: a test case for each finding, or one that passed for a run without."""
    names = names_of_rules()
    cases = [case for run in runs for case in _cases(run, names)]
    errors = sum(bool(run.error) for run in runs)
    failures = sum(len(run.findings) for run in runs)
    counts = f'tests="{len(cases)}" failures="{failures}" errors="{errors}"'
    return "\n".join([
        '<?xml version="1.0" encoding="utf-8"?>',
        f'<testsuites name="ftadvise" {counts}>',
        f'  <testsuite name="ftadvise" {counts} skipped="0">',
        *cases,
        "  </testsuite>",
        "</testsuites>",
    ])  # fmt: skip


def _cases(run: RunFindings, names: dict[str, str]) -> list[str]:
    if run.error:
        return [_case(run, run.error, "error", run.error, run.why)]
    titles = [f"{finding.code} {names.get(finding.code, '')}".strip() for finding in run.findings]
    return [
        _case(run, title, "failure", finding.level, sentence(finding))
        for title, finding in zip(titles, run.findings, strict=True)
    ] or [_case(run, "no findings")]


def _case(
    run: RunFindings, name: str, outcome: str = "", kind: str = "", message: str = ""
) -> str:
    name = f"{name} {run.run}" if run.run else name
    start = (
        f"    <testcase classname={_quoted(place(run.path or '-', LONGEST))} name={_quoted(name)}"
    )
    if not outcome:
        return f"{start}/>"
    told = f"<{outcome} type={_quoted(kind)} message={_quoted(message)}>{escape(_legal(message))}"
    return f"{start}>{told}</{outcome}></testcase>"


def _quoted(text: str) -> str:
    return quoteattr(_legal(said(text)))


def _legal(text: str) -> str:
    return _NO_XML.sub("\ufffd", text)
