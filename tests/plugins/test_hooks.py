"""What a plugin gives through each hook is used."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import replace
from types import SimpleNamespace

import click
import pytest
from made_runs import make_run

import ftadvise
from ftadvise import plugins
from ftadvise.families import ModelFamily
from ftadvise.fitting import fit
from ftadvise.laws import built_in_laws
from ftadvise.plugins import Plugin
from ftadvise.policies import replay
from ftadvise.rules.case import Case, Finding, Rule
from ftadvise.stopping import StopPolicy

Install = Callable[..., Plugin]


@pytest.fixture
def install() -> Iterator[Install]:
    """Return a function that registers hooks as a plugin of their own for one test."""
    manager = plugins.registry().manager

    def put(**hooks: Callable[..., object]) -> Plugin:
        marked = {name: ftadvise.hookimpl(hook) for name, hook in hooks.items()}
        plugins.registry().plugins["mine"] = Plugin("mine")
        manager.register(SimpleNamespace(**marked), "mine")
        return plugins.registry().plugins["mine"]

    yield put
    if manager.has_plugin("mine"):
        manager.unregister(name="mine")
    plugins.registry().plugins.pop("mine", None)


def test_a_law_given_to_register_laws_takes_its_share_of_the_posterior(install: Install) -> None:
    def register_laws() -> list[object]:
        return [replace(built_in_laws()[-1], name="mine")]

    assert "mine" not in {law.name for law in fit(make_run()).laws}
    install(register_laws=register_laws)
    shares = {law.name: law.share for law in fit(make_run()).laws}
    assert shares["mine"] == pytest.approx(shares["full"], abs=0.02)


def test_a_policy_given_to_register_stop_policies_can_be_replayed(install: Install) -> None:
    def register_stop_policies() -> list[StopPolicy]:
        return [StopPolicy("third", "stops at the third", lambda run, patience, threshold: 3)]

    install(register_stop_policies=register_stop_policies)
    assert replay(make_run(), "third").evals_spent == 3


def test_a_rule_given_to_register_rules_adds_its_findings(install: Install) -> None:
    def check(case: Case) -> Iterator[Finding]:
        yield Finding("XX001", "info", f"{len(case.run.eval)} evaluations")

    def register_rules() -> list[Rule]:
        return [Rule("XX001", "mine", "Mine.", check)]

    install(register_rules=register_rules)
    found = {f.code: f.message for f in ftadvise.advise(make_run(evals=10)).findings}
    assert found["XX001"] == "10 evaluations"


def test_a_rule_that_fails_becomes_a_finding_about_itself(install: Install) -> None:
    def check(case: Case) -> Iterator[Finding]:
        raise ZeroDivisionError("oh")
        yield

    install(register_rules=lambda: [Rule("XX002", "mine", "Mine.", check)])
    found = {f.code: f.message for f in ftadvise.advise(make_run()).findings}
    assert "XX002 failed: ZeroDivisionError" in found["FT902"]


def test_a_hook_that_raises_is_noted_in_the_plugin_and_the_others_go_on(install: Install) -> None:
    def register_laws() -> list[object]:
        raise RuntimeError("no such law")

    entry = install(register_laws=register_laws)
    assert fit(make_run()).laws
    assert "no such law" in entry.error


def test_families_given_to_register_model_families_are_collected(install: Install) -> None:
    install(register_model_families=lambda: [ModelFamily("mine", model_types=("mine",))])
    assert "mine" in {family.name for family in plugins.collect("register_model_families")}


def test_commands_given_to_register_commands_are_added_to_the_group(install: Install) -> None:
    def register_commands(cli: click.Group) -> None:
        cli.add_command(click.Command("mine"))

    group = click.Group("cli")
    install(register_commands=register_commands)
    plugins.registry().call_commands(group)
    assert "mine" in group.commands
