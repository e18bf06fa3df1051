"""Reads `trainer_state.json` of transformers, and our own `training_metrics.json`.

Both hold a list of rows and, beside it, what was planned. The rows are read like any other JSON
history; this module knows where the plan stands.
"""

from __future__ import annotations

import re
from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from ftadvise.errors import LogError
from ftadvise.readers.json_logs import documents, long_documents
from ftadvise.readers.json_logs.long_rows import LongRows
from ftadvise.readers.json_logs.setup import own_epochs_in, settings_in
from ftadvise.readers.series.finish import with_plan
from ftadvise.readers.series.tables import array_of, number
from ftadvise.readers.series.values import nothing_found, runs_in
from ftadvise.readers.source import Reader, Source

if TYPE_CHECKING:
    from ftadvise.run import Run, Settings

_CHECKPOINT = re.compile(r"checkpoint-(\d{1,15})\D*$")
_NO_LIMIT = 1e9  # transformers writes sys.maxsize where only the steps are limited


def sniff(source: Source) -> float:
    """Return 0.95 for a JSON file with a `log_history` or our own schema at its beginning."""
    if not documents.sniff(source):
        return 0.0
    head = documents.opening(source)
    return 0.95 if '"log_history"' in head or '"ftadvise.metrics/' in head else 0.0


def read(source: Source) -> list[Run]:
    """Return the runs in the history, several when it was started anew.

    Raises:
        LogError: FT404 broken, FT405 no history, FT406 a history without loss.
    """
    parsed = long_documents.parse(source)
    state = next(filter(None, map(_state, parsed.values)), None)
    if state is None:
        raise LogError(f"{source.label}: no log_history in it", code="FT405")
    rows = state["log_history"] if "log_history" in state else state["history"]
    runs, found = runs_in(rows, source.wanted)
    if not runs:
        error = nothing_found(source.label, found)
        if not rows:
            message = f"{source.label}: the history is empty: nothing was logged before it ended"
            error = LogError(message, code="FT405", hint="Train with logging_steps=1, or less.")
        raise error
    return [_planned(run, state, parsed.notes) for run in runs]


def _state(value: Any) -> dict[str, Any] | None:
    if not isinstance(value, dict):
        return None
    state = cast("dict[str, Any]", value)
    ours = str(state.get("schema", "")).startswith("ftadvise.metrics/")
    rows = state.get("log_history", state.get("history") if ours else None)
    return state if isinstance(rows, list | LongRows) else None


def _planned(run: Run, state: dict[str, Any], notes: tuple[str, ...]) -> Run:
    epochs = own_epochs_in(state) or _positive(state.get("num_train_epochs"))
    steps = _positive(state.get("max_steps")) or run.planned_steps
    settings = settings_in(state)
    if epochs is None:
        epochs = settings.num_train_epochs
    done, passed = _positive(state.get("global_step")), _positive(state.get("epoch"))
    per_epoch = done / passed if done and passed else None
    run = with_plan(run, epochs, steps, per_epoch=per_epoch)
    patience, threshold = _early_stopping(state)
    settings = replace(
        settings,
        num_train_epochs=epochs,
        eval_steps=_eval_steps(run, state, settings),
        save_steps=_save_steps(state, settings),
        early_stopping_patience=_first(patience, settings.early_stopping_patience),
        early_stopping_threshold=_first(threshold, settings.early_stopping_threshold),
    )
    return replace(run, settings=settings, notes=(*notes, *run.notes))


def _first(*values: Any) -> Any:
    return next((value for value in values if value is not None), None)


def _early_stopping(state: dict[str, Any]) -> tuple[int | None, float | None]:
    """Return patience and threshold of the EarlyStoppingCallback."""
    for part in ("EarlyStoppingCallback", "args"):
        state = _dict(
            _dict(state if part == "args" else state.get("stateful_callbacks")).get(part)
        )
    patience = number(state.get("early_stopping_patience"))
    if patience is None or not 0 <= patience < _NO_LIMIT:
        return None, None
    return int(patience), number(state.get("early_stopping_threshold"))


def _dict(value: Any) -> dict[str, Any]:
    # A list of callbacks of one class is written as a list; the first one decides.
    if isinstance(value, list) and value:
        value = array_of(cast("object", value))[0]
    return cast("dict[str, Any]", value) if isinstance(value, dict) else {}


def _eval_steps(run: Run, state: dict[str, Any], settings: Settings) -> float | None:
    """Return the steps between evaluations as they were, not as an unused default says."""
    said = _first(_positive(state.get("eval_steps")), settings.eval_steps)
    step = run.eval.step[np.isfinite(run.eval.step) & (run.eval.step > 0)]
    if step.size > 1:
        seen = float(np.median(np.diff(step)))
        return said if said and (step[:-1] % said == 0).all() else seen
    return said if said and step.size == 1 and step[0] % said == 0 else None


def _save_steps(state: dict[str, Any], settings: Settings) -> float | None:
    said = _first(_positive(state.get("save_steps")), settings.save_steps)
    best = state.get("best_model_checkpoint")
    name = _CHECKPOINT.search(best) if isinstance(best, str) else None
    # The best checkpoint at another step means that saving did not go by this number.
    return None if said and name and int(name[1]) % said else said


def _positive(value: Any) -> float | None:
    plain = number(value)
    return plain if plain is not None and 0 < plain < _NO_LIMIT else None


READER = Reader(
    name="trainer_state",
    description="trainer_state.json of transformers, training_metrics.json of ftadvise",
    sniff=sniff,
    read=read,
)
