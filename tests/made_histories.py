"""Any run that a reader could make, however odd, and histories to put them into."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import strategies as st

from ftadvise.run import LearningRates, Run, Series, Settings, Source, as_floats

floats = st.floats(allow_nan=True, allow_infinity=True)
texts = st.text(st.characters(codec=None), max_size=20)  # lone surrogates and NUL among them
numbers = st.none() | floats | st.integers(-5, 10**6)
wholes = st.none() | st.integers(-5, 10**9)


@st.composite
def columns(draw: st.DrawFn) -> list[list[float]]:
    """Draw three columns of one length."""
    size = draw(st.integers(0, 12))
    return [draw(st.lists(floats, min_size=size, max_size=size)) for _ in range(3)]


keys = st.none() | texts
series = st.builds(lambda key, c: Series(key, *map(as_floats, c)), keys, columns())
rates = st.builds(lambda key, c: LearningRates(key, *map(as_floats, c)), keys, columns())
set_ups = st.builds(
    Settings,
    num_train_epochs=numbers,
    eval_steps=numbers,
    save_steps=numbers,
    save_total_limit=wholes,
    load_best_model_at_end=st.sampled_from([None, True, False]),
    early_stopping_patience=wholes,
    early_stopping_threshold=numbers,
    lr_scheduler_type=keys,
)
any_runs = st.builds(
    Run,
    train=series,
    eval=series,
    lr=rates,
    planned_epochs=numbers,
    planned_steps=numbers,
    settings=set_ups,
    source=st.builds(Source, texts, texts, texts, st.lists(texts, max_size=3).map(tuple)),
    nonfinite=st.dictionaries(texts, st.integers(0, 10**6), max_size=3),
    restarts=st.integers(0, 100),
    notes=st.lists(texts, max_size=3).map(tuple),
)


def has_loss(run: Run) -> bool:
    """Say whether a run has a finite loss."""
    return any(math.isfinite(x) for one in (run.train, run.eval) for x in one.loss)


def kept_in(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep the history of a test in its own folder, and return where."""
    where = folder / "data" / "history.sqlite3"
    monkeypatch.setenv("FTADVISE_HISTORY", str(where))
    return where
