"""Adding, finding again and forgetting."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from made_histories import kept_in
from made_runs import make_run

import ftadvise
from ftadvise import history
from ftadvise.history import Facts, HistoryError, Prediction
from ftadvise.run import Run, Series, as_floats

FACTS = Facts(model="Qwen/Qwen2.5-0.5B", family="qwen", data="abc", examples=800)


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return kept_in(tmp_path, monkeypatch)


def until(run: Run, epoch: float) -> Run:
    """Return what the log of a run held at an epoch."""
    cut = {name: getattr(run, name) for name in ("train", "eval", "lr")}
    train, evals = (cut[k].take(cut[k].epoch <= epoch) for k in ("train", "eval"))
    here = run.lr.epoch <= epoch
    rates = replace(
        run.lr, step=run.lr.step[here], epoch=run.lr.epoch[here], rate=run.lr.rate[here]
    )
    return replace(run, train=train, eval=evals, lr=rates)


def test_the_newest_run_is_listed_first_and_no_more_than_asked() -> None:
    ids = [history.add(make_run(seed=seed, noise=0.01)) for seed in range(4)]
    assert [entry.id for entry in history.runs()] == ids[::-1]
    assert [entry.id for entry in history.runs(limit=2)] == ids[:1:-1]


def test_a_run_added_twice_is_one_row_that_was_updated() -> None:
    run = make_run()
    first = history.add(run, FACTS)
    again = history.add(replace(run, source=replace(run.source, path="/moved.json")))
    assert first == again
    (entry,) = history.runs()
    assert entry.source.path == "/moved.json"
    assert replace(entry.facts, learning_rate=None) == FACTS, "what was known is not lost"


def test_new_facts_replace_old_ones() -> None:
    own = history.add(make_run(), FACTS)
    history.add(make_run(), Facts(family="qwen2"))
    assert history.entry(own).facts.family == "qwen2"
    assert history.entry(own).facts.model == FACTS.model


def test_a_run_that_has_grown_stays_one_row() -> None:
    whole = make_run(epochs=5.0)
    ids = {history.add(until(whole, epoch)) for epoch in (1.0, 2.5, 5.0)}
    assert len(ids) == 1
    assert len(history.load(ids.pop()).eval) == len(whole.eval)


def test_an_earlier_state_of_a_run_takes_nothing_away_from_it() -> None:
    whole = make_run(epochs=5.0)
    own = history.add(whole)
    assert history.add(until(whole, 2.5), FACTS) == own
    assert len(history.load(own).eval) == len(whole.eval)
    assert history.entry(own).facts.model == FACTS.model
    assert history.entry(own).epochs == 5.0


def test_runs_planned_for_another_length_are_two_even_if_one_begins_like_the_other() -> None:
    long = make_run(epochs=6.0, kind="constant")
    short = replace(until(long, 3.0), planned_epochs=3.0)
    assert history.add(long) != history.add(short)


def test_the_summary_says_what_the_curves_did() -> None:
    run = make_run(epochs=5.0, evals=10, rise=0.3)
    entry = history.entry(history.add(run))
    lowest = int(np.argmin(run.eval.loss))
    assert entry.best_eval_loss == run.eval.loss[lowest]
    assert entry.best_epoch == run.eval.epoch[lowest]
    assert entry.last_eval_loss == run.eval.loss[-1]
    assert (entry.epochs, entry.planned_epochs, entry.steps_per_epoch) == (5.0, 5.0, 100.0)


def test_a_run_without_eval_loss_is_remembered_too() -> None:
    run = replace(make_run(), eval=Series())
    entry = history.entry(history.add(run))
    assert (entry.best_eval_loss, entry.best_epoch) == (None, None)


def test_a_run_without_any_loss_is_refused(place: Path) -> None:
    nan = as_floats([np.nan])
    for run in (Run(), Run(eval=Series("eval_loss", nan, nan, nan))):
        with pytest.raises(HistoryError) as caught:
            history.add(run)
        assert caught.value.code == "FT427"
    assert not place.exists()


def test_the_prediction_stays_when_the_run_is_added_again() -> None:
    told = Prediction(4.0, 1.2, 1.0, 1.4)
    own = history.add(make_run(), prediction=told)
    history.add(make_run())
    assert history.entry(own).prediction == told


def test_what_is_forgotten_is_gone_from_the_file_and_its_id_is_not_used_again(
    place: Path,
) -> None:
    first = history.add(make_run(), Facts(model="a-secret-name"))
    history.forget(first)
    assert history.runs() == ()
    assert b"a-secret-name" not in place.read_bytes()
    assert history.add(make_run()) != first


@pytest.mark.parametrize("act", [history.entry, history.load, history.forget])
def test_an_id_that_there_is_none_of_is_said(act: object, place: Path) -> None:
    assert callable(act)
    with pytest.raises(HistoryError, match="no run 7") as caught:
        act(7)
    assert caught.value.code == "FT426"
    assert not place.exists(), "looking makes no file"


def test_an_empty_history_is_no_error(place: Path) -> None:
    assert history.runs() == ()
    assert history.comparable(make_run()) == ()
    assert not place.exists()


def test_numbers_beyond_the_columns_are_left_out_of_them() -> None:
    own = history.add(make_run(), Facts(parameters=2**63))
    assert history.entry(own).facts.parameters is None


def test_a_file_of_an_earlier_version_is_migrated_and_keeps_its_rows(
    place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from ftadvise.history import schema

    own = history.add(make_run(), FACTS)
    more = (*schema.MIGRATIONS, "ALTER TABLE runs ADD COLUMN colour TEXT;\n")
    monkeypatch.setattr(schema, "MIGRATIONS", more)
    assert history.entry(own).facts.model == FACTS.model, "read as it is"
    history.add(make_run(seed=1, noise=0.1))
    db = sqlite3.connect(place)
    assert db.execute("PRAGMA user_version").fetchone() == (2,)
    assert db.execute("SELECT count(colour), count(*) FROM runs").fetchone() == (0, 2)
    db.close()


def test_past_runs_of_the_history_can_be_given_to_advise() -> None:
    for seed in range(3):
        history.add(make_run(epochs=3.0 + seed, noise=0.005, seed=seed))
    run = make_run(epochs=5.0, noise=0.005, seed=9)
    past = [found.run for found in history.comparable(run)]
    assert len(past) == 3
    assert len(ftadvise.fit(run, past=past).peers) == 3
