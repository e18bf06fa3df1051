"""A run and what is known of it as the columns of its row."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np

from ftadvise.history import entries
from ftadvise.history.entries import Prediction
from ftadvise.history.facts import Facts
from ftadvise.history.failures import HistoryError
from ftadvise.history.points import columns_of, content_of, start_of, to_text
from ftadvise.history.rest import rest_of
from ftadvise.run import Run


def row_of(run: Run) -> dict[str, Any]:
    """Return the columns that hold the run itself, and those that say in short what it did.

    Raises:
        HistoryError: FT427 for a run without a loss or beyond all bounds.
    """
    if not any(np.isfinite(one.loss).any() for one in (run.train, run.eval)):
        raise HistoryError("the run has no loss to remember", code="FT427")
    try:
        texts = {name: to_text(points) for name, points in columns_of(run).items()}
        texts["rest"] = rest_of(run)
    except ValueError as error:
        raise HistoryError(f"the run is too long: {error}", code="FT427") from None
    return {"content": content_of(run), "start": start_of(run), **texts, **_summary(run)}


def _summary(run: Run) -> dict[str, float | None]:
    scored = run.eval.finite()
    epochs = np.concatenate([run.train.epoch, run.eval.epoch])
    lowest = int(scored.loss.argmin()) if len(scored) else None
    return {
        "steps_per_epoch": _steps_per_epoch(run),
        "planned_epochs": _number(run.planned_epochs),
        "epochs": _number(np.nanmax(epochs)) if np.isfinite(epochs).any() else None,
        "best_eval_loss": _number(scored.loss[lowest]) if lowest is not None else None,
        "best_epoch": _number(scored.epoch[lowest]) if lowest is not None else None,
        "last_eval_loss": _number(scored.loss[-1]) if len(scored) else None,
    }


def _steps_per_epoch(run: Run) -> float | None:
    try:
        with np.errstate(all="ignore"):
            return _number(run.steps_per_epoch)
    except ArithmeticError:  # steps and epochs of a log that are no such numbers
        return None


def described(run: Run, given: Facts, before: Facts) -> dict[str, Any]:
    """Return the columns of facts: as given, else as known before, else as the run shows."""
    # The highest rate of a run that has grown, or of one that was still warming up before.
    rates = [*run.lr.rate[np.isfinite(run.lr.rate)].tolist(), before.learning_rate or 0.0]
    shown = Facts(learning_rate=max(rates) or None, schedule=run.settings.lr_scheduler_type)
    known = given.over(replace(before, learning_rate=None)).over(shown)
    # Absolute, since the next look may come from another folder.
    where = str(Path(run.source.path).absolute()) if run.source.path else ""
    source = {"path": where, "format": run.source.format, "name": run.source.run}
    told = {name: getattr(known, name) for name in entries.FACTS}
    return {k: _plain(v) for k, v in (source | told).items()}


def foretold(prediction: Prediction) -> dict[str, float | None]:
    """Return the columns of a prediction."""
    values = (prediction.epochs, prediction.eval_loss, prediction.low, prediction.high)
    return dict(zip(entries.PREDICTED, values, strict=True))


def _number(value: Any) -> float | None:
    return float(value) if value is not None and np.isfinite(value) else None


def _plain(value: Any) -> Any:
    """Return a value as a column can hold it; the exact source stands in `rest`."""
    if isinstance(value, str):
        return value.encode("utf-8", "replace").decode().replace("\0", "")
    return None if isinstance(value, int) and abs(value) >= 2**63 else value
