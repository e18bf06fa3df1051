"""Conformance checks for plugin authors: one function for each kind of thing a plugin gives.

    from ftadvise.testing import check_reader, check_rule, known_run

    def test_my_reader_keeps_the_contract():
        check_reader(my_reader, good_paths=["examples/log.tsv"])

    def test_my_rule_keeps_the_contract():
        check_rule(my_rule, found_in=[known_run(evals=3)])

Each check raises `AssertionError` with a message that says which promise is broken and where.
They need nothing but ftadvise, and `ftadvise plugins check` calls them too. Names are loaded when
they are first used.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ftadvise.testing.commands import check_commands
    from ftadvise.testing.families import check_family
    from ftadvise.testing.laws import check_law
    from ftadvise.testing.made import known_run
    from ftadvise.testing.policies import check_policy
    from ftadvise.testing.readers import check_reader
    from ftadvise.testing.rules import check_rule

__all__ = [
    "check_commands",
    "check_family",
    "check_law",
    "check_policy",
    "check_reader",
    "check_rule",
    "known_run",
]

_HOME = {
    "check_commands": "commands",
    "check_family": "families",
    "check_law": "laws",
    "check_policy": "policies",
    "check_reader": "readers",
    "check_rule": "rules",
    "known_run": "made",
}


def __getattr__(name: str) -> Any:
    """Load a check from the module it lives in."""
    if name not in _HOME:
        raise AttributeError(f"module 'ftadvise.testing' has no attribute {name!r}")
    return getattr(importlib.import_module(f"ftadvise.testing.{_HOME[name]}"), name)
