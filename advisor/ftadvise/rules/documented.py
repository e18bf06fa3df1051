"""The built-in rules as their sources describe them.

To import a rule takes numpy, and to explain one does not: `ftadvise rule` and the completion of
codes read what stands in the files.
"""

from __future__ import annotations

import ast
from pathlib import Path

from ftadvise.rules import MODULES, register_rules
from ftadvise.rules.case import Rule


def documented() -> list[Rule]:
    """Return the built-in rules by code, to be read: those of `register_rules` can be asked."""
    try:
        rules = [_read(name) for name in MODULES]
    except OSError:  # installed without sources
        rules = register_rules()
    return sorted(rules, key=lambda rule: rule.code)


def _read(name: str) -> Rule:
    tree = ast.parse((Path(__file__).parent / f"{name}.py").read_text(encoding="utf-8"))
    given = {
        node.targets[0].id: node.value.value
        for node in tree.body
        if isinstance(node, ast.Assign)
        and isinstance(node.targets[0], ast.Name)
        and isinstance(node.value, ast.Constant)
    }
    doc = ast.get_docstring(tree, clean=False) or ""
    return Rule(str(given["CODE"]), str(given["NAME"]), doc, lambda _: iter(()))
