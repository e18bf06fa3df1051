"""The checks of rules, readers and commands: each broken promise is named."""

from __future__ import annotations

import itertools
import math
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import click
import pytest

from ftadvise.readers.series.values import read_value
from ftadvise.readers.source import Reader, Source
from ftadvise.rules import register_rules
from ftadvise.rules.case import Case, Finding, Rule
from ftadvise.run import Run
from ftadvise.testing import (
    check_commands,
    check_law,
    check_policy,
    check_reader,
    check_rule,
    known_run,
    rules,
)

CALLS = itertools.count()


@pytest.mark.parametrize("rule", register_rules(), ids=lambda rule: rule.code)
def test_our_own_rules_keep_their_promises(rule: Rule) -> None:
    check_rule(rule)


DOC = """The run has evaluations.

What it means
-------------
There is at least one.

Why it matters
--------------
It does not.

Example
-------
    MINE101 info: There are 3.

What to do
----------
Nothing.
"""


def rule(**changed: Any) -> Rule:
    def check(case: Case) -> Iterator[Finding]:
        if len(case.run.eval) > 10:
            yield Finding("MINE101", "info", f"There are {len(case.run.eval)}.", {"n": 1})

    return replace(Rule("MINE101", "mine", DOC, check), **changed)


def finding(**changed: Any) -> Callable[[Case], Iterator[Finding]]:
    """Return the check of a rule that always yields one finding."""
    one = replace(Finding("MINE101", "info", "There it is."), **changed)
    return lambda case: iter([one])


def test_a_sound_rule_passes_and_finds_what_it_should() -> None:
    check_rule(rule(), found_in=[known_run(evals=20)], not_in=[known_run(evals=5)])


def raises(case: Case) -> Iterator[Finding]:
    yield Finding("MINE101", "info", f"{1 / len(case.run.train)}.")


def wavers(case: Case) -> Iterator[Finding]:
    yield Finding("MINE101", "info", f"{next(CALLS)}.")


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"code": "mine"}, "2 to 8 capitals and 3 digits"),
        ({"code": "FT999"}, "codes with FT are ftadvise's own"),
        ({"name": "overfitting"}, r"shares its code or its name with the rule FT201"),
        ({"name": "Mine!"}, "a name is lower case"),
        ({"doc": "No sections."}, "has the sections none"),
        ({"doc": DOC.replace("Nothing.", "")}, "nothing stands under What to do"),
        ({"doc": DOC.replace("MINE101", "XX")}, "does not show its code"),
        ({"doc": DOC.replace("evaluations.", "evaluations")}, "no sentence"),
        ({"check": raises}, "rule MINE101 raised ZeroDivisionError"),
        ({"check": lambda case: None}, "rule MINE101 raised TypeError"),
        ({"check": wavers}, "something else when it is asked again"),
        ({"check": lambda case: iter(["text"])}, "not a Finding"),
        ({"check": finding(code="MINE102")}, "a finding with the code MINE102"),
        ({"check": finding(level="fatal")}, "level 'fatal' is none of"),
        ({"check": finding(message="It is nan.")}, "a number that is none"),
        ({"check": finding(message="A line.\nAnother.")}, "cannot be printed"),
        ({"check": finding(message="no sentence")}, "is no sentence"),
        ({"check": finding(fix="Add \x1b[31m")}, "a fix cannot be printed"),
        ({"check": finding(evidence={"x": math.inf})}, "the evidence 'x' is inf"),
        ({"check": finding(evidence={"x": [1]})}, "the evidence 'x' is"),
    ],
)
def test_a_rule_that_breaks_a_promise_is_told_which(changed: dict[str, Any], said: str) -> None:
    with pytest.raises(AssertionError, match=said):
        check_rule(rule(**changed))


def test_a_rule_that_takes_its_time_on_a_long_log_is_refused(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def check(case: Case) -> Iterator[Finding]:
        until = time.thread_time() + (0.1 if len(case.run.train) > 50_000 else 0.0)
        while time.thread_time() < until:
            pass
        yield from ()

    monkeypatch.setattr(rules, "MOST_SECONDS", 0.05)
    with pytest.raises(AssertionError, match="seconds on a log of 100,000 points"):
        check_rule(rule(check=check))


def test_a_rule_that_misses_or_imagines_something_is_told_in_which_run() -> None:
    with pytest.raises(AssertionError, match="finds nothing in run 1"):
        check_rule(rule(), found_in=[known_run(evals=20), known_run(evals=5)])
    with pytest.raises(AssertionError, match="finds something in run 0"):
        check_rule(rule(), not_in=[known_run(evals=20)])


def test_commands_need_a_free_name_and_help() -> None:
    def register_commands(cli: click.Group) -> None:
        cli.add_command(click.Command("mine", help="Mine.", callback=lambda: None))

    assert check_commands(register_commands, taken=["theirs"]) == ["mine"]
    with pytest.raises(AssertionError, match="ftadvise has a command of that name"):
        check_commands(register_commands, taken=["mine"])
    with pytest.raises(AssertionError, match="adds no command"):
        check_commands(lambda cli: None)
    with pytest.raises(AssertionError, match="has no help"):
        check_commands(lambda cli: cli.add_command(click.Command("mine")))


def test_commands_are_added_whenever_they_are_asked_for() -> None:
    calls = itertools.count()

    def register_commands(cli: click.Group) -> None:
        cli.add_command(click.Command(f"mine-{next(calls)}", help="Mine."))

    with pytest.raises(AssertionError, match="other commands when it is called again"):
        check_commands(register_commands)


@pytest.mark.parametrize("check", [check_law, check_policy, check_rule])
def test_what_is_of_another_kind_is_named(check: Callable[[Any], None]) -> None:
    with pytest.raises(AssertionError, match="returned 'text', not a"):
        check("text")


def sniffed(source: Source) -> float:
    return 1.0 if source.head.startswith(b"epoch") else 0.0


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        ({"name": "My Reader"}, "a name is lower case"),
        ({"description": ""}, "no description says what it reads"),
        ({"sniff": lambda source: 2}, "sniff returned 2, not a number from 0 to 1"),
        ({"sniff": lambda source: 0.0}, "sniff does not know it"),
        ({"read": lambda source: []}, "returned no run; raise LogError"),
        ({"read": lambda source: [int(source.text)]}, "not LogError"),
        ({"gather": lambda path: []}, "not the files of its run with itself among them"),
        ({"gather": lambda path: [path, path]}, "not the files of its run"),
        ({"gather": lambda path: [path, path / "gone"]}, "not the files of its run"),
        ({"gather": lambda path: 1 / 0}, "gather raised ZeroDivisionError"),
    ],
)
def test_a_reader_that_breaks_a_promise_is_told_which(
    changed: dict[str, Any], said: str, tmp_path: Path
) -> None:
    log = tmp_path / "log.txt"
    log.write_text("epoch,loss\n1,3.0\n2,2.0\n3,1.5\n")
    sound = Reader("mine", "mine", sniffed, csv_reader, lambda path: [path])
    check_reader(sound, [log])
    with pytest.raises(AssertionError, match=said):
        check_reader(replace(sound, **changed), [log])


def csv_reader(source: Source) -> list[Run]:
    names, *rows = (line.split(",") for line in source.lines())
    return read_value(source, [dict(zip(names, row, strict=False)) for row in rows])
