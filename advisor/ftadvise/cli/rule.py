"""`ftadvise rule`: what the code of a finding means."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ftadvise.cli.output import write

if TYPE_CHECKING:
    from ftadvise.rules.case import Rule


@click.command(name="rule")
@click.argument("code", required=False)
@click.option("--format", "form", type=click.Choice(("text", "json")), default="text")
def command(code: str | None, form: str) -> None:
    """Explain the CODE of a finding or an error, or list the codes of all findings."""
    from ftadvise.rules import all_rules, rule_by_code

    if code is not None:
        wanted = code.strip().upper()
        means = _error(wanted)
        if means:
            told = {"code": wanted, "kind": "error", "means": means}
            write(_json_of(told) if form == "json" else "\n".join([f"{wanted} error", "", *means]))
            return
        rule = rule_by_code(code)
        write(_json_of(_as_dict(rule)) if form == "json" else _page(rule))
        return
    rules = all_rules()
    write(_json_of([_as_dict(rule) for rule in rules]) if form == "json" else _list(rules))


def _error(code: str) -> list[str]:
    """Return what an error code means; nothing where it is none."""
    from ftadvise.cli.error_codes import meanings
    from ftadvise.text import clean

    return [clean(line, 500) for line in meanings(code)]


def _page(rule: Rule) -> str:
    from ftadvise.text import clean

    lines: list[str] = []
    for line in rule.doc.strip().splitlines():
        text = line.lstrip(" ")
        lines.append(" " * (len(line) - len(text)) + clean(text, 500))
    return "\n".join([f"{clean(rule.code)} {clean(rule.name)}", "", *lines])


def _list(rules: list[Rule]) -> str:
    from ftadvise.text import clean

    width = max((len(clean(rule.name)) for rule in rules), default=0)
    return "\n".join(
        f"{clean(rule.code):<6} {clean(rule.name):<{width}}  {clean(rule.summary)}"
        for rule in rules
    )


def _as_dict(rule: Rule) -> dict[str, Any]:
    from ftadvise.rules.case import sections

    return {
        "code": rule.code,
        "name": rule.name,
        "summary": rule.summary,
        "sections": sections(rule.doc),
    }


def _json_of(value: object) -> str:
    from ftadvise.reports import jsonout

    return jsonout.dumps(value)
