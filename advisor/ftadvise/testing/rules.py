"""The promises of a rule: documented, its code its own, and silent or sound on whatever comes."""

from __future__ import annotations

import functools
import math
import re
import time
from typing import TYPE_CHECKING

import numpy as np

from ftadvise.errors import LogError
from ftadvise.fitting import fit
from ftadvise.onset import onset
from ftadvise.rules import all_rules, register_rules
from ftadvise.rules.case import LEVELS, Case, Finding, Rule, sections
from ftadvise.run import Run, Series, Settings, as_floats
from ftadvise.testing.made import known_run, odd_runs
from ftadvise.testing.promises import answer, require, require_name, require_type

if TYPE_CHECKING:
    from collections.abc import Iterable

RUNS = 200
HEADINGS = ("What it means", "Why it matters", "Example", "What to do")
LONG_LOG = 100_000
MOST_SECONDS = 2.0  # of the processor, on a long log; our own take thousandths

_CODE = re.compile(r"[A-Z]{2,8}[0-9]{3}")


def check_rule(rule: Rule, found_in: Iterable[Run] = (), not_in: Iterable[Run] = ()) -> None:
    """Check that `rule` keeps the promises that every report relies on.

    Its code must be its own and its documentation whole. On hundreds of made runs it must not
    raise, find the same when it is asked again, and yield findings that can be printed and written
    as JSON. On a log of a hundred thousand points it must be done within two seconds.

    Args:
        rule: The rule to check.
        found_in: Runs in which it has to find something.
        not_in: Runs in which it has to find nothing.

    Raises:
        AssertionError: The rule breaks a promise.
    """
    require_type(rule, Rule, "register_rules")
    _check_code(rule)
    what = f"rule {rule.code}"
    require_name(rule.name, "rule")
    _check_doc(rule, what)
    for case in cases():
        _check_case(rule, case, what)
    for number, run in enumerate(found_in):
        require(bool(_findings(rule, case_of(run), what)), f"{what} finds nothing in run {number}")
    for number, run in enumerate(not_in):
        found = _findings(rule, case_of(run), what)
        require(not found, f"{what} finds something in run {number}: {found[:1]}")
    _check_long(rule, what)


def case_of(run: Run) -> Case:
    """Return what a rule sees of a run, the next one proposed as the last was.

    Raises:
        LogError: FT405 when the run has fewer than two finite losses.
    """
    fitted = fit(run)
    proposed = Settings(num_train_epochs=5.0, eval_steps=50, early_stopping_patience=3)
    best = float(fitted.points.epoch[fitted.points.loss.argmin()])
    return Case(run, fitted, onset(fitted), run.settings, proposed, 0.01, best)


@functools.cache
def cases() -> tuple[Case, ...]:
    """Return the cases of the made runs; those that no advice can be given on are left out."""
    found = [known_run(rise=rise, evals=evals) for rise in (0.0, 0.1) for evals in (2, 5, 30)]
    made: list[Case] = []
    for run in (*found, *odd_runs(RUNS, holes=True)):
        try:
            made.append(case_of(run))
        except LogError:
            continue
    return tuple(made)


def _check_code(rule: Rule) -> None:
    fits = isinstance(rule.code, str) and _CODE.fullmatch(rule.code) is not None  # pyright: ignore[reportUnnecessaryIsInstance]
    require(fits, f"a rule has the code {rule.code!r}: a code is 2 to 8 capitals and 3 digits")
    ours = {one.code: one.name for one in register_rules()}
    own = ours.get(rule.code) == rule.name
    require(
        own or not rule.code.startswith("FT"),
        f"rule {rule.code}: codes with FT are ftadvise's own; take letters of your package",
    )
    for other in all_rules():
        same = (other.code == rule.code) + (other.name == rule.name)
        require(
            same != 1,
            f"rule {rule.code} ({rule.name}) shares its code or its name with the rule "
            f"{other.code} ({other.name})",
        )


def _check_doc(rule: Rule, what: str) -> None:
    require(rule.summary.endswith("."), f"{what}: the first line of its doc is no sentence")
    told = sections(rule.doc)
    require(
        tuple(told) == HEADINGS,
        f"{what}: its doc has the sections {', '.join(told) or 'none'}; wanted, underlined with "
        f"dashes and in this order: {', '.join(HEADINGS)}",
    )
    empty = [name for name, text in told.items() if not text]
    require(not empty, f"{what}: nothing stands under {', '.join(empty)} in its doc")
    require(rule.code in told["Example"], f"{what}: the example in its doc does not show its code")


def _check_case(rule: Rule, case: Case, what: str) -> None:
    found = _findings(rule, case, what)
    for one in found:
        _check_finding(one, rule, what)
    again = _findings(rule, case, what)
    require(found == again, f"{what} finds something else when it is asked again")


def _findings(rule: Rule, case: Case, what: str) -> list[Finding]:
    def asked() -> list[Finding]:
        return list(rule.check(case))

    found: list[Finding] = answer(what, asked)
    return found


def _check_finding(one: Finding, rule: Rule, what: str) -> None:
    require(isinstance(one, Finding), f"{what} yields {one!r}, not a Finding")  # pyright: ignore[reportUnnecessaryIsInstance]
    require(one.code == rule.code, f"{what} yields a finding with the code {one.code}")
    require(one.level in LEVELS, f"{what}: level {one.level!r} is none of {', '.join(LEVELS)}")
    for name, text in (("message", one.message), ("fix", one.fix)):
        require(text.isprintable(), f"{what}: a {name} cannot be printed: {text!r}")
        require(
            not re.search(r"(?<![\w_])(nan|inf)(?![\w_])", text),
            f"{what}: a {name} tells a number that is none: {text!r}",
        )
    require(one.message.endswith((".", ")")), f"{what}: a message is no sentence: {one.message!r}")
    for key, value in one.evidence.items():
        known = isinstance(value, str | int | float | None)  # pyright: ignore[reportUnnecessaryIsInstance]
        finite = not isinstance(value, float) or math.isfinite(value)
        require(
            isinstance(key, str) and known and finite,  # pyright: ignore[reportUnnecessaryIsInstance]
            f"{what}: the evidence {key!r} is {value!r}, not a finite number, text or None",
        )


def _check_long(rule: Rule, what: str) -> None:
    case = _long_case()
    start = time.thread_time()
    _findings(rule, case, what)
    spent = time.thread_time() - start
    require(
        spent <= MOST_SECONDS,
        f"{what} takes {spent:.1f} seconds on a log of {LONG_LOG:,} points",
    )


@functools.cache
def _long_case() -> Case:
    epoch = np.linspace(0.001, 100.0, LONG_LOG)
    loss = 1.0 + np.exp(-epoch)
    series = Series("loss", as_floats(np.arange(LONG_LOG)), as_floats(epoch), as_floats(loss))
    return case_of(Run(train=series))
