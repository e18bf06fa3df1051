"""Coded findings: one module per rule, its documentation as its docstring.

`FT1xx` are about the log, `FT2xx` about the curve, `FT3xx` about how the run was set up.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

from ftadvise import plugins
from ftadvise.errors import UsageError
from ftadvise.hookspecs import hookimpl
from ftadvise.rules.case import Rule, rule_of
from ftadvise.text import nearest

if TYPE_CHECKING:
    from collections.abc import Iterable

MODULES = (
    "no_eval_loss",
    "too_few_evals",
    "noise_above_threshold",
    "nonfinite_values",
    "log_restarts",
    "axis_assumed",
    "several_runs",
    "objective_assumed",
    "held_out_by_test",
    "overfitting",
    "still_improving",
    "flat_rate_ran_out",
    "diverged",
    "epoch_boundary_steps",
    "best_in_mid_decay",
    "another_curve",
    "patience_cannot_fire",
    "threshold_swallows_gains",
    "best_left_unsaved",
    "newest_kept",
    "stopped_mid_decay",
)


@hookimpl
def register_rules() -> list[Rule]:
    """Give the built-in rules, whose modules need numpy and are loaded here."""
    return [rule_of(importlib.import_module(f"{__name__}.{name}")) for name in MODULES]


def all_rules() -> list[Rule]:
    """Return the rules of all plugins by code. A plugin cannot replace one of ours."""
    return merged(plugins.collect("register_rules"), register_rules())


def merged(found: Iterable[Any], ours: Iterable[Rule]) -> list[Rule]:
    """Return what plugins gave, as far as it is rules, and our own, by code."""
    theirs = {rule.code: rule for rule in found if isinstance(rule, Rule)}
    return sorted((theirs | {rule.code: rule for rule in ours}).values(), key=lambda r: r.code)


def rule_by_code(code: str) -> Rule:
    """Return the rule with this code, in upper or lower case.

    Raises:
        UsageError: If there is none (FT411); its hint names the nearest one.
    """
    return rule_among(code, all_rules())


def rule_among(code: str, rules: Iterable[Rule]) -> Rule:
    """Return the one of `rules` with this code, in upper or lower case.

    Raises:
        UsageError: If there is none (FT411); its hint names the nearest one.
    """
    known = {rule.code.upper(): rule for rule in rules}
    wanted = code.strip().upper()
    if wanted in known:
        return known[wanted]
    names = {rule.name.upper(): rule.code for rule in known.values()}
    meant = nearest(wanted, [*names, *known])
    guess = f"Did you mean {names.get(meant, meant)!r}? " if meant else ""
    hint = f"{guess}Known: {', '.join(known)}."
    raise UsageError(f"no rule has the code {code!r}", code="FT411", hint=hint)
