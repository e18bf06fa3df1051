"""`ftadvise rule`: what the code of a finding means."""

from __future__ import annotations

import itertools
from typing import TYPE_CHECKING, Any

import click

from ftadvise.cli import completing, options
from ftadvise.cli.output import look, write

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ftadvise.rules.case import Rule


@click.command(name="rule")
@click.argument("code", required=False, shell_complete=completing.code)
@options.output_format("text", "json")
def command(code: str | None, form: str) -> None:
    """Explain the CODE of a finding or an error, or list the codes of all findings."""
    from ftadvise.rules.documented import documented

    if code is None:
        rules = _with_plugins(documented())
        write(_json_of([_as_dict(rule) for rule in rules]) if form == "json" else _list(rules))
        return
    wanted = code.strip().upper()
    ours = {rule.code: rule for rule in documented()}
    means = [] if wanted in ours else _error(wanted)
    if means:
        told = {"code": wanted, "kind": "error", "means": means}
        write(_json_of(told) if form == "json" else "\n".join([f"{wanted} error", "", *means]))
        return
    from ftadvise.rules import rule_among

    rule = ours.get(wanted) or rule_among(code, _with_plugins(ours.values()))
    write(_json_of(_as_dict(rule)) if form == "json" else _page(rule))


def _with_plugins(ours: Iterable[Rule]) -> list[Rule]:
    """Return our rules and those of plugins by code, without loading what ours need."""
    from ftadvise import plugins
    from ftadvise.rules import merged

    return merged(plugins.third_party().collect("register_rules"), ours)


def _error(code: str) -> list[str]:
    """Return what an error code means; nothing where it is none."""
    from ftadvise.cli.error_codes import meanings
    from ftadvise.text import clean

    return [clean(line, 500) for line in meanings(code)]


def _page(rule: Rule) -> str:
    from ftadvise.text import clean

    width = look(None, ascii_only=False, to_file=False).width
    lines = [f"{clean(rule.code)} {clean(rule.name)}", ""]
    for _, paragraph in itertools.groupby(rule.doc.strip().splitlines(), key=_kind):
        lines += _fitted(list(paragraph), width)
    return "\n".join(lines)


def _kind(line: str) -> tuple[bool, int]:
    """Return what the lines of a paragraph share: text at one indent, or a blank or a rule."""
    return not line.strip(" -"), len(line) - len(line.lstrip(" "))


def _fitted(paragraph: list[str], width: int) -> list[str]:
    """Return the lines of a paragraph as they are, or filled anew where one is too long."""
    from ftadvise.reports.wrapping import wrap
    from ftadvise.text import clean

    indent = " " * _kind(paragraph[0])[1]
    texts = [clean(line.strip(" "), 500) for line in paragraph]
    if all(len(indent + text) <= width for text in texts):
        return [indent + text if text else "" for text in texts]
    return wrap(" ".join(texts), width, indent)


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
