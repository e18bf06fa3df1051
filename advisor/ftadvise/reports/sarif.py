"""Findings as a log in SARIF 2.1.0, which code scanning and editors read.

https://docs.oasis-open.org/sarif/sarif/v2.1.0/sarif-v2.1.0.html
"""

from __future__ import annotations

import hashlib
import inspect
import os
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

import ftadvise
from ftadvise.reports import jsonout
from ftadvise.reports.run_findings import sentence
from ftadvise.reports.words import said
from ftadvise.rules.case import sections

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ftadvise.reports.run_findings import RunFindings
    from ftadvise.rules.case import Rule

SCHEMA = (
    "https://docs.oasis-open.org/sarif/sarif/v2.1.0/errata01/os/schemas/sarif-schema-2.1.0.json"
)
_LEVELS = {"error": "error", "warning": "warning", "info": "note"}
_FINGERPRINTS = ("ftadvise/v1", "primaryLocationLineHash")  # the second is the one GitHub reads
_ROOT = "%SRCROOT%"


def log(runs: Sequence[RunFindings]) -> str:
    """Return the log: a result for each finding, a notification for each log without advice."""
    codes = sorted({finding.code for run in runs for finding in run.findings})
    failed = [run for run in runs if run.error]
    driver = {
        "name": "ftadvise",
        "version": ftadvise.__version__,
        "semanticVersion": ftadvise.__version__,
        "rules": _rules(codes),
    }
    invocation: dict[str, Any] = {"executionSuccessful": not failed}
    if failed:
        invocation["toolExecutionNotifications"] = [_notification(run) for run in failed]
    return jsonout.dumps({
        "$schema": SCHEMA,
        "version": "2.1.0",
        "runs": [{
            "tool": {"driver": driver},
            "invocations": [invocation],
            "columnKind": "unicodeCodePoints",
            "results": _results(runs, codes),
        }],
    })  # fmt: skip


def _rules(codes: Sequence[str]) -> list[dict[str, Any]]:
    """Return the rules behind the findings, with their documentation where a rule has one."""
    from ftadvise.rules import all_rules

    known = {rule.code: rule for rule in all_rules()}
    return [_rule(known[code]) if code in known else {"id": said(code)} for code in codes]


def _rule(rule: Rule) -> dict[str, Any]:
    doc = inspect.cleandoc(rule.doc)
    parts = sections(rule.doc)
    means = parts.get("What it means") or rule.summary
    markdown = "\n\n".join(f"## {title}\n\n{text}" for title, text in parts.items()) or doc
    return {
        "id": said(rule.code),
        "name": said(rule.name),
        "shortDescription": {"text": said(rule.summary)},
        "fullDescription": {"text": said(means)},
        "help": {"text": doc, "markdown": markdown},
    }


def _results(runs: Sequence[RunFindings], codes: Sequence[str]) -> list[dict[str, Any]]:
    seen: Counter[tuple[str | None, str, str]] = Counter()
    results: list[dict[str, Any]] = []
    for run in runs:
        for finding in run.findings:
            key = (run.path, run.run, finding.code)
            seen[key] += 1
            mark = _fingerprint(*key, seen[key])
            results.append({
                "ruleId": said(finding.code),
                "ruleIndex": codes.index(finding.code),
                "level": _LEVELS.get(finding.level, "note"),
                "message": {"text": _plain(sentence(finding))},
                "locations": _locations(run),
                "partialFingerprints": dict.fromkeys(_FINGERPRINTS, mark),
                "properties": {
                    "run": said(run.run),
                    "evidence": {
                        said(name): jsonout.finite(value)
                        for name, value in finding.evidence.items()
                    },
                },
            })  # fmt: skip
    return results


def _fingerprint(path: str | None, run: str, code: str, number: int) -> str:
    """Return what stays the same while the numbers in a message change."""
    text = "\0".join((path or "-", run, code, str(number)))
    return hashlib.sha256(text.encode(errors="surrogatepass")).hexdigest()[:32]


def _notification(run: RunFindings) -> dict[str, Any]:
    return {
        "level": "error",
        "message": {"text": _plain(run.why)},
        "descriptor": {"id": run.error},
        "locations": _locations(run),
    }


def _plain(text: str) -> str:
    """Return a text without links: a message may hold some, as `[text](place)` (section 3.11.6)."""
    return text.replace("](", "] (")


def _locations(run: RunFindings) -> list[dict[str, Any]]:
    """Return where a run lies; code scanning asks for a line, and a curve has none but the first."""
    if run.path is None:
        return []
    place: dict[str, Any] = {"artifactLocation": _artifact(run.path), "region": {"startLine": 1}}
    return [{"physicalLocation": place}]


def _artifact(path: str) -> dict[str, str]:
    if Path(path).is_absolute():
        return {"uri": Path(path).as_uri()}
    try:
        name = os.fsencode(path)
    except UnicodeEncodeError:  # no path of this system
        name = path.encode(errors="replace")
    return {"uri": quote(name), "uriBaseId": _ROOT}
