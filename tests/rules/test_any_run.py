"""Properties that hold for every run, however odd, and for the set of rules as a whole."""

from __future__ import annotations

import json
import math
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from made_cases import case_of, findings, rates, scaled
from made_runs import five_numbers

from ftadvise import plugins
from ftadvise.advising import advise
from ftadvise.errors import LogError, UsageError
from ftadvise.hookspecs import hookimpl
from ftadvise.rules import all_rules, register_rules, rule_by_code
from ftadvise.rules.case import LEVELS, Case, Finding, Rule, sections
from ftadvise.run import LearningRates, Run, Series, Settings, Source, as_floats

if TYPE_CHECKING:
    from collections.abc import Iterator

HEADINGS = ["What it means", "Why it matters", "Example", "What to do"]
ABSOLUTE = {"FT103", "FT302"}  # thresholds are absolute

numbers = st.one_of(
    st.none(), st.sampled_from([0.0, 0.001, 0.5, 1.0, 3.0, 100.0, math.nan, math.inf])
)
wholes = st.one_of(st.none(), st.integers(-1, 12))
set_ups = st.builds(
    Settings,
    num_train_epochs=numbers,
    eval_steps=numbers,
    save_steps=numbers,
    save_total_limit=wholes,
    load_best_model_at_end=st.sampled_from([None, True, False]),
    early_stopping_patience=wholes,
    early_stopping_threshold=numbers,
    lr_scheduler_type=st.sampled_from([None, "linear", "cosine", "constant", "polynomial"]),
)


@st.composite
def curves(draw: st.DrawFn, key: str, odd: bool) -> Series:
    """Draw a series: random, constant or smooth losses, epochs known or not."""
    n = draw(st.integers(0 if odd else 2, 60))
    seed = draw(st.integers(0, 2**16))
    rng = np.random.default_rng(seed)
    shape = draw(st.sampled_from(["random", "constant", "falling", "u", "blown"]))
    x = np.linspace(1.0 / max(n, 1), 1.0, n)
    loss = {
        "random": np.exp(rng.normal(0, 1, n)),
        "constant": np.ones(n),
        "falling": 0.5 + 1 / (x + 0.1) + rng.normal(0, 0.01, n),
        "u": 1 + (x - 0.5) ** 2 + rng.normal(0, 0.001, n),
        "blown": np.exp(8 * x**4),
    }[shape]
    epoch = draw(st.sampled_from([0.3, 1.0, 5.0, 40.0])) * x
    step = np.round(100 * epoch)
    if odd:
        loss = loss * draw(st.sampled_from([1.0, -1.0, 0.0, 1e-12, 1e9])) - draw(
            st.sampled_from([0, 2])
        )
        loss = np.where(rng.random(n) < draw(st.sampled_from([0.0, 0.2])), np.nan, loss)
        epoch = np.where(rng.random(n) < draw(st.sampled_from([0.0, 0.3, 1.0])), np.nan, epoch)
        step = np.where(rng.random(n) < draw(st.sampled_from([0.0, 0.3, 1.0])), np.nan, step)
    return Series(key, as_floats(step), as_floats(epoch), as_floats(loss))


@st.composite
def runs(draw: st.DrawFn, odd: bool) -> Run:
    """Draw a run."""
    kind = draw(st.sampled_from([None, "linear", "cosine", "constant", "wsd"]))
    planned = draw(st.sampled_from([None, 1.0, 5.0, 10.0]))
    return Run(
        train=draw(curves("loss", odd)),
        eval=draw(curves("eval_loss", odd)),
        lr=rates(kind, planned or 5.0) if kind else LearningRates(),
        planned_epochs=planned,
        planned_steps=draw(st.sampled_from([None, 500.0])) if odd else None,
        source=Source(others=("other",) if odd else ()),
        nonfinite=draw(st.sampled_from([{}, {"loss": 1}, {"grad_norm": 2}])) if odd else {},
        restarts=draw(st.integers(0, 2)) if odd else 0,
        notes=("Something was assumed.",) if odd else (),
    )


@settings(max_examples=150, deadline=None)
@given(runs(odd=True), set_ups, set_ups, st.sampled_from([math.nan, -1.0, 0.0, 0.01]), numbers)
def test_no_run_makes_a_rule_raise_or_say_something_unprintable(
    run: Run, used: Settings, proposed: Settings, gain: float, best: float | None
) -> None:
    try:
        case = case_of(run, used, proposed, gain, math.nan if best is None else best)
    except LogError:
        return
    known = {rule.code for rule in register_rules()}
    for finding in findings(case):
        assert finding.code in known
        assert finding.level in LEVELS
        assert finding.message.isprintable()
        assert finding.message.endswith((".", ")"))
        assert "nan" not in finding.message.replace("logging_nan_inf_filter", "").split()
        json.dumps(finding.evidence, allow_nan=False)


@settings(max_examples=60, deadline=None, derandomize=True)
@given(runs(odd=False), st.sampled_from([0.25, 2.0, 8.0]))
def test_the_unit_of_the_loss_changes_no_finding_but_those_about_thresholds(
    run: Run, factor: float
) -> None:
    def told(run: Run) -> list[tuple[str, str]]:
        found = findings(case_of(run, proposed=Settings(num_train_epochs=7.0)))
        return [(f.code, f.level) for f in found if f.code not in ABSOLUTE]

    assert told(run) == told(scaled(run, factor))


def test_a_long_log_costs_no_more_than_moments() -> None:
    n = 200_000
    epoch = np.linspace(0.001, 100.0, n)
    loss = 1.0 + np.exp(-epoch)
    series = Series("loss", as_floats(np.arange(n)), as_floats(epoch), as_floats(loss))
    assert findings(case_of(Run(train=series)), "FT101")


@pytest.mark.parametrize("rule", register_rules(), ids=lambda rule: rule.code)
def test_every_rule_is_documented_in_four_sections(rule: Rule) -> None:
    told = sections(rule.doc)
    assert list(told) == HEADINGS
    assert all(told.values())
    assert rule.summary.endswith(".")
    assert f"{rule.code} " in told["Example"]
    assert max(len(line) for line in rule.doc.splitlines()) < 100
    level = told["Example"].split()[1].rstrip(":")
    assert level in LEVELS


def test_codes_and_names_are_unique_and_sorted() -> None:
    rules = register_rules()
    assert len({rule.code for rule in rules}) == len({rule.name for rule in rules}) == len(rules)
    assert [rule.code for rule in rules] == sorted(rule.code for rule in rules)
    assert {rule.code for rule in rules} <= {rule.code for rule in all_rules()}


def test_dashes_inside_a_section_do_not_start_another() -> None:
    doc = "Sum.\n\nExample\n-------\n    a table:\n\n    x\n\n    -----\nWhat to do\n----------\nIt.\n"
    assert list(sections(doc)) == ["Example", "What to do"]
    assert sections("") == {}


def test_a_rule_is_found_by_its_code_in_any_case() -> None:
    assert rule_by_code(" ft201 ").name == "overfitting"


@pytest.mark.parametrize(
    ("asked", "hint"),
    [("FT2O1", "Did you mean 'FT201'"), ("overfiting", "'FT201'"), ("?", "Known: ")],
)
def test_an_unknown_code_is_answered_with_the_nearest_one(asked: str, hint: str) -> None:
    with pytest.raises(UsageError) as caught:
        rule_by_code(asked)
    assert caught.value.code == "FT411"
    assert hint in caught.value.hint


def test_a_plugin_adds_rules_but_replaces_none_of_ours() -> None:
    def check(case: Case) -> Iterator[Finding]:
        yield from ()

    class Extra:
        @hookimpl
        def register_rules(self) -> list[Rule]:
            return [Rule("XX001", "mine", "Mine.", check), Rule("FT101", "stolen", "Not.", check)]

    found = plugins.registry()
    found.plugins["extra"] = plugins.Plugin("extra")
    found.manager.register(Extra(), "extra")
    try:
        names = {rule.code: rule.name for rule in all_rules()}
    finally:
        found.manager.unregister(name="extra")
        del found.plugins["extra"]
    assert (names["XX001"], names["FT101"]) == ("mine", "no-eval-loss")


def test_the_five_losses_of_the_qwen_example_give_findings_on_its_settings() -> None:
    told = {
        f.code: f for f in findings(case_of(five_numbers(), proposed=PROPOSED, best_epoch=5.0))
    }
    assert set(told) == {"FT101", "FT201", "FT207", "FT301", "FT302"}
    assert "may begin at epoch 5" in told["FT201"].message
    assert "One point up by 4.3 % is weak evidence" in told["FT201"].message
    assert (
        "best at epoch 5 cannot fire before epoch 8, so under a cap of 7" in told["FT301"].message
    )
    assert "0.001, as is customary, is 2.9 % of this loss (0.0349)" in told["FT302"].message
    assert (
        "a longer run with a decaying learning rate is another curve, not more of this one"
        in told["FT207"].message
    )
    assert [told[code].level for code in ("FT301", "FT302")] == ["info", "info"]
    warned = replace(PROPOSED, early_stopping_threshold=0.001)
    (finding,) = findings(case_of(five_numbers(), used=warned), "FT302")
    assert finding.level == "warning"


PROPOSED = Settings(num_train_epochs=7.0, eval_steps=24, early_stopping_patience=3)


def test_the_advice_on_the_five_numbers_carries_these_findings() -> None:
    codes = {finding.code for finding in advise(five_numbers()).findings}
    assert {"FT101", "FT201", "FT207", "FT301", "FT302"} <= codes
