"""The report for the terminal: the answer first, then the curve, then what it rests on."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ftadvise.numbers import chance, short
from ftadvise.reports import words
from ftadvise.reports.chart import NARROW, chart
from ftadvise.reports.configuration import training_block
from ftadvise.reports.style import PLAIN, Style
from ftadvise.reports.wrapping import wrap

if TYPE_CHECKING:
    from collections.abc import Callable

    from ftadvise.advice import Advice
    from ftadvise.rules.case import Finding

_LABEL = 13  # columns of the labels of the answer
_ASCII = str.maketrans({"–": "-", "—": "-", "…": "...", "·": "|", "×": "x", "≤": "<=", "−": "-"})


def report(advice: Advice, width: int = 80, ascii_only: bool = False, style: Style = PLAIN) -> str:
    """Return the whole report.

    Args:
        advice: What to report.
        width: Columns of a line; configuration lines may be longer.
        ascii_only: Use ASCII characters alone.
        style: Colours.
    """
    sections = [
        _head(advice, width, style),
        answer(advice, width, style),
        chart(advice, width, ascii_only, style),
        _findings(advice, width, style),
        _reasons(advice, width, style),
        _scenarios(advice, width, style),
        _configuration(advice, style),
    ]
    text = "\n\n".join("\n".join(lines) for lines in sections if lines)
    return in_ascii(text) if ascii_only else text


def in_ascii(text: str) -> str:
    """Return text in ASCII characters alone."""
    return text.translate(_ASCII).encode("ascii", "replace").decode()


def _head(advice: Advice, width: int, style: Style) -> list[str]:
    lines = [style.bold(line) for line in wrap(words.title(advice), width)]
    for fact in (words.contents(advice), words.other_runs(advice)):
        lines += [style.dim(line) for line in wrap(fact, width)]
    return lines


def answer(advice: Advice, width: int, style: Style, keep: str | None = None) -> list[str]:
    """Return the lines that say what to do; `keep` in place of what this run alone would keep."""
    status = advice.overfitting.status
    colour = {"detected": style.red, "suspected": style.yellow, "none": style.green}
    return [
        *_labelled("Next run", words.epochs(advice), width, style.bold),
        *_labelled("", words.cadence(advice), width),
        *_labelled("Stop early", words.stopping(advice), width, style.bold),
        *_labelled("Expect", f"{words.expected(advice)}; {words.false_stop(advice)}", width),
        *_labelled("Or keep", keep or words.keeping(advice), width),
        *_labelled("Overfitting", words.overfitting(advice), width, colour.get(status, str)),
    ]


def _findings(advice: Advice, width: int, style: Style) -> list[str]:
    if not advice.findings:
        return []
    lines = [style.bold("Findings")]
    for finding in advice.findings:
        lines += _finding(finding, width, style)
    return lines


def _finding(finding: Finding, width: int, style: Style) -> list[str]:
    paint = {"error": style.red, "warning": style.yellow}.get(finding.level, style.cyan)
    level = words.said(finding.level)
    message = f"{words.said(finding.code)} {level}: {words.said(finding.message)}"
    first, *rest = wrap(message, width, "  ", "    ")
    fix = words.said(finding.fix)
    return [
        first.replace(level, paint(level), 1),
        *rest,
        *(wrap(f"Fix: {fix}", width, "    ") if fix else []),
    ]


def _reasons(advice: Advice, width: int, style: Style) -> list[str]:
    if not advice.reasons:
        return []
    lines = [style.bold("Why")]
    for reason in advice.reasons:
        lines += wrap(words.said(reason), width, "  - ", "    ")
    return lines


def _scenarios(advice: Advice, width: int, style: Style) -> list[str]:
    if not advice.scenarios:
        return []
    gap, indent = ("  ", "  ") if width >= NARROW else (" ", "")
    heads = ("chance", "best epoch", "stop epoch") if width >= NARROW else ("odds", "best", "stop")
    name = max(len(s.name) for s in advice.scenarios)
    rows = [("", *heads)] + [
        (s.name, chance(s.probability), _epoch(s.best_epoch), _epoch(s.stop_epoch))
        for s in advice.scenarios
    ]
    sizes = [max(len(row[i]) for row in rows) for i in range(1, 4)]
    table = [
        indent
        + gap.join(
            [f"{row[0]:<{name}}", *(f"{c:>{n}}" for c, n in zip(row[1:], sizes, strict=True))]
        )
        for row in rows
    ]
    return [style.bold("Scenarios for the next run"), style.dim(table[0]), *table[1:]]


def _configuration(advice: Advice, style: Style) -> list[str]:
    return [style.bold("Configuration"), *training_block(advice.recommendation)]


def _epoch(value: float | None) -> str:
    return "-" if value is None else short(value)


def _labelled(label: str, text: str, width: int, paint: Callable[[str], str] = str) -> list[str]:
    lines = wrap(text, width - _LABEL) or [""]
    return [f"{label if i == 0 else '':<{_LABEL}}{paint(line)}" for i, line in enumerate(lines)]
