"""Coded findings: one module per rule, its documentation as its docstring.

`FT1xx` are about the log, `FT2xx` about the curve, `FT3xx` about how the run was set up.
"""

from __future__ import annotations

import difflib

from ftadvise import plugins
from ftadvise.errors import UsageError
from ftadvise.hookspecs import hookimpl
from ftadvise.rules import (
    another_curve,
    axis_assumed,
    best_in_mid_decay,
    best_left_unsaved,
    diverged,
    epoch_boundary_steps,
    flat_rate_ran_out,
    held_out_by_test,
    log_restarts,
    newest_kept,
    no_eval_loss,
    noise_above_threshold,
    nonfinite_values,
    objective_assumed,
    overfitting,
    patience_cannot_fire,
    several_runs,
    still_improving,
    stopped_mid_decay,
    threshold_swallows_gains,
    too_few_evals,
)
from ftadvise.rules.case import Rule, rule_of

_MODULES = (
    no_eval_loss,
    too_few_evals,
    noise_above_threshold,
    nonfinite_values,
    log_restarts,
    axis_assumed,
    several_runs,
    objective_assumed,
    held_out_by_test,
    overfitting,
    still_improving,
    flat_rate_ran_out,
    diverged,
    epoch_boundary_steps,
    best_in_mid_decay,
    another_curve,
    patience_cannot_fire,
    threshold_swallows_gains,
    best_left_unsaved,
    newest_kept,
    stopped_mid_decay,
)


@hookimpl
def register_rules() -> list[Rule]:
    """Give the built-in rules."""
    return [rule_of(module) for module in _MODULES]


def all_rules() -> list[Rule]:
    """Return the rules of all plugins by code. A plugin cannot replace one of ours."""
    ours = {rule.code: rule for rule in register_rules()}
    found = [rule for rule in plugins.collect("register_rules") if isinstance(rule, Rule)]
    return sorted(({rule.code: rule for rule in found} | ours).values(), key=lambda r: r.code)


def rule_by_code(code: str) -> Rule:
    """Return the rule with this code, in upper or lower case.

    Raises:
        UsageError: If there is none (FT411); its hint names the nearest one.
    """
    rules = {rule.code: rule for rule in all_rules()}
    wanted = code.strip().upper()
    if wanted in rules:
        return rules[wanted]
    names = {rule.name.upper(): rule.code for rule in rules.values()}
    close = difflib.get_close_matches(wanted, [*names, *rules], n=1)
    guess = f"did you mean {names.get(close[0], close[0])!r}? " if close else ""
    hint = f"{guess}known: {', '.join(rules)}"
    raise UsageError(f"no rule has the code {code!r}", code="FT411", hint=hint)
