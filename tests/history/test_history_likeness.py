"""Which past runs come first, and why."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from made_histories import kept_in
from made_runs import make_run

from ftadvise import history
from ftadvise.history import Facts
from ftadvise.history.likeness import likeness

MINE = Facts(
    model="Qwen/Qwen2.5-0.5B",
    family="qwen",
    parameters=500_000_000,
    data="abc",
    examples=800,
    learning_rate=1e-5,
    method="full",
)
OTHERS = {
    "same model and data": MINE,
    "same model and data, learning rate 0.0001": replace(MINE, learning_rate=1e-4),
    "same model and data, trained with lora": replace(MINE, method="lora"),
    "same data, another model of the family": replace(
        MINE, model="Qwen/Qwen2.5-7B", parameters=7_000_000_000
    ),
    "same data, another model family": replace(
        MINE, model="meta-llama/Llama-3.2-1B", family="llama", parameters=10**9
    ),
    "same model, other data": replace(MINE, data="xyz"),
    "same model family": replace(MINE, model="Qwen/Qwen3-8B", parameters=8 * 10**9, data="xyz"),
    "another fine-tune": Facts(model="gpt2", family="gpt", data="xyz", learning_rate=1e-5),
}


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return kept_in(tmp_path, monkeypatch)


def other_steps(seed: int) -> float:
    """Scale the losses so that no two of these runs are one fine-tune by their curves."""
    return 1.6**seed


def test_past_runs_come_in_the_order_of_their_likeness_each_with_its_reason() -> None:
    for seed, facts in enumerate(reversed(OTHERS.values())):
        history.add(make_run(scale=other_steps(seed)), facts)
    found = history.comparable(MINE)
    assert [one.why for one in found] == list(OTHERS)
    assert [one.same for one in found] == [True, True] + 6 * [False]
    assert [one.why for one in history.comparable(MINE, limit=3)] == list(OTHERS)[:3]


def test_of_equally_like_runs_the_nearest_rate_and_then_the_newest_comes_first() -> None:
    rates = [1e-5, 1.4e-5, 1.2e-5, 1e-5]
    ids = [
        history.add(make_run(scale=other_steps(n)), replace(MINE, learning_rate=rate))
        for n, rate in enumerate(rates)
    ]
    found = [one.entry.id for one in history.comparable(MINE)]
    assert found == [ids[3], ids[0], ids[2], ids[1]]


def test_a_run_is_not_compared_with_itself_and_what_is_known_of_it_is_used() -> None:
    mine, twin = make_run(), make_run(scale=1.6)
    history.add(mine, MINE)
    history.add(twin, MINE)
    (found,) = history.comparable(mine)
    assert found.why == "same model and data"
    assert found.run.eval.loss[0] == twin.eval.loss[0]


def test_where_nothing_is_known_the_curves_say_what_is_the_same_fine_tune() -> None:
    history.add(make_run(epochs=3.0))
    history.add(make_run(scale=1.6))
    found = history.comparable(make_run(epochs=7.0))
    assert [one.why for one in found] == ["the same fine-tune by its curves", "another fine-tune"]
    assert [one.same for one in found] == [True, False]


@pytest.mark.parametrize("known", [replace(MINE, data="xyz"), replace(MINE, model="gpt2")])
def test_curves_never_overrule_what_is_known(known: Facts) -> None:
    history.add(make_run(epochs=3.0), known)
    (found,) = history.comparable(make_run(epochs=7.0), facts=MINE)
    assert not found.same


def test_a_model_in_a_folder_is_the_model_of_that_name_on_the_hub() -> None:
    local = replace(MINE, model="/models/qwen2.5-0.5b/", parameters=None)
    assert likeness(MINE, local).why == "same model and data"


def test_what_is_unknown_neither_joins_nor_parts() -> None:
    bare = likeness(MINE, Facts())
    assert (bare.rank, bare.same, bare.open) == (7, False, True)
    assert likeness(MINE, Facts(data="abc")).why == "same data, perhaps another model"
