"""What is remembered comes back to the last bit."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from made_histories import any_runs, has_loss, kept_in
from made_runs import make_run

import ftadvise
from ftadvise import history
from ftadvise.history.points import columns_of, content_of, from_text, to_text
from ftadvise.history.rest import rest_of, run_from
from ftadvise.run import FloatArray, Run, Settings

ROOT = Path(__file__).resolve().parents[2]
OURS = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture(autouse=True)
def place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    return kept_in(tmp_path, monkeypatch)


def bits(values: FloatArray) -> bytes:
    # NaN is one value to us, whatever its payload; the sign of a zero is kept.
    return np.where(np.isnan(values), np.nan, values).tobytes()


def assert_the_same(one: Run, other: Run) -> None:
    for name, columns in columns_of(one).items():
        for mine, theirs in zip(columns, columns_of(other)[name], strict=True):
            assert bits(mine) == bits(theirs)
            assert theirs.dtype == np.float64
            assert not theirs.flags.writeable
    assert (one.train.key, one.eval.key, one.lr.key) == (
        other.train.key,
        other.eval.key,
        other.lr.key,
    )
    # Through repr, for which NaN is NaN, and 5 is not 5.0.
    for name in ("planned_epochs", "planned_steps", "settings", "source", "nonfinite", "restarts"):
        assert repr(getattr(one, name)) == repr(getattr(other, name))
    assert one.notes == other.notes


@OURS
@given(any_runs)
def test_any_run_comes_back_from_its_texts_as_it_was(run: Run) -> None:
    points = {name: from_text(to_text(columns)) for name, columns in columns_of(run).items()}
    assert_the_same(run, run_from(rest_of(run), points))


@settings(OURS, max_examples=25)
@given(any_runs.filter(has_loss))
def test_any_run_with_a_loss_comes_back_from_the_file_as_it_was(place: Path, run: Run) -> None:
    place.unlink(missing_ok=True)
    assert_the_same(run, history.load(history.add(run)))


@pytest.mark.parametrize("name", ["chat/trainer_state.json", "qwen/training_metrics.json"])
def test_advice_on_a_remembered_run_is_the_advice_on_its_log(name: str) -> None:
    run = ftadvise.read(ROOT / "examples" / name)
    back = history.load(history.add(run))
    assert_the_same(run, back)
    assert ftadvise.advise(back).to_dict() == ftadvise.advise(run).to_dict()


def test_the_file_can_be_read_with_sqlite_alone(place: Path) -> None:
    run = make_run(evals=4)
    own = history.add(run, history.Facts(model="Qwen/Qwen2.5-0.5B"))
    db = sqlite3.connect(place)
    query = """
        SELECT json_extract(point.value, '$[1]'), json_extract(point.value, '$[2]')
        FROM runs, json_each(runs.eval) AS point WHERE runs.id = ?"""
    assert db.execute(query, [own]).fetchall() == list(
        zip(run.eval.epoch.tolist(), run.eval.loss.tolist(), strict=True)
    )
    assert db.execute("SELECT model, best_eval_loss FROM runs").fetchone() == (
        "Qwen/Qwen2.5-0.5B",
        run.eval.loss.min(),
    )
    db.close()


@OURS
@given(any_runs)
def test_every_text_in_the_file_is_strict_json(run: Run) -> None:
    def refuse(word: str) -> None:
        raise AssertionError(word)

    for text in [rest_of(run), *map(to_text, columns_of(run).values())]:
        json.loads(text, parse_constant=refuse)
        assert text.isascii()


def test_one_run_in_two_formats_has_one_content() -> None:
    run = make_run()
    other = replace(run, settings=Settings(eval_steps=5.0), source=replace(run.source, path="b"))
    assert content_of(run) == content_of(other)
    assert content_of(run) != content_of(make_run(seed=1, noise=0.01))
