"""MetricsWriter: `training_metrics.json` and `trainer_state.json`, whole at every moment."""

from __future__ import annotations

import json
import math
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from transformers import TrainerCallback

from ftadvise_trainer.callbacks.history import best_of
from ftadvise_trainer.callbacks.nonfinite import NonFiniteGuard
from ftadvise_trainer.errors import TrainError
from ftadvise_trainer.saving.durable import fsync, write_atomically

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable, Mapping, Sequence

SCHEMA = "ftadvise.metrics/1"

COLUMNS = {  # name here: names in the log of transformers, of which the last that is there counts
    "step": ("step",),
    "epoch": ("epoch",),
    "loss": ("loss",),
    "eval_loss": ("eval_loss",),
    "learning_rate": ("learning_rate",),
    "grad_norm": ("grad_norm",),
    "tokens": ("num_input_tokens_seen",),
    # That of transformers is a mean since the start, evaluations included; ours is Throughput's.
    "tokens_per_second": ("train_tokens_per_second", "tokens_per_second"),
}
MEASURED = ("mfu", "padding_share", "data_wait_share")
"""Further columns of a row, where Throughput measured them."""
_SHARE = 0.05
"""Of the time of a run, what writing plain train logs may take at most."""


class MetricsWriter(TrainerCallback):  # type: ignore[misc]  # transformers has no types
    """Writes the metrics of a run in the schema `ftadvise.metrics/1`; for any Trainer.

    The file is replaced as a whole, so that it is never half written. It is replaced after every
    evaluation, save and end of training, and after every log unless that would take more than
    5 % of the time (long histories with frequent logs). `trainer_state.json` beside it is in
    transformers' own format, for tools that read that.

    All of it comes from `state.log_history`, which a resume restores. Tokens are counted by
    transformers when `include_num_input_tokens_seen` is set.
    """

    def __init__(
        self,
        path: str | os.PathLike[str],
        header: Mapping[str, Any],
        stoppers: Sequence[Any] = (),
        checkpoints: Callable[[], list[dict[str, Any]]] | None = None,
        speed: Callable[[], dict[str, Any] | None] | None = None,
    ) -> None:
        """Set what is written where.

        Args:
            path: `training_metrics.json`.
            header: What is known of the run beforehand: model, data fingerprint, config and its
                hash, versions.
            stoppers: Callbacks that may stop the run, with an attribute `reason`. They have to
                stand before this one in the Trainer's list.
            checkpoints: Returns the checkpoints kept: `path`, `epoch` and `eval_loss` of each.
            speed: Returns how fast the session is, as `Throughput.summary` does. That callback has
                to stand before this one.
        """
        self.path = Path(path)
        self.header = dict(header)
        self.stoppers = tuple(stoppers)
        self.checkpoints = checkpoints
        self.speed = speed
        self._not_before = 0.0
        for stopper in self.stoppers:
            if isinstance(stopper, NonFiniteGuard):
                stopper.before_raising.append(self._write_once)

    def document(self, state: Any) -> dict[str, Any]:
        """Return what is to be written."""
        kept = self.checkpoints() if self.checkpoints is not None else []
        best = best_of(state.log_history)
        if best is not None:
            best["checkpoint"] = _of_step(kept, best["step"])
        return {
            "schema": SCHEMA,
            **self.header,
            "best": best,
            "stopped": self._stopped(state),
            "checkpoints": kept,
            **({} if self.speed is None else {"speed": self.speed()}),
            "history": rows_of(state.log_history),
        }

    def write(self, state: Any) -> None:
        """Write both files now.

        Raises:
            TrainError: FT504 when they cannot be written; what was there before stays whole.
        """
        began = time.monotonic()
        text = json.dumps(strict(self.document(state)), allow_nan=False, indent=1) + "\n"
        try:
            self.path.parent.mkdir(parents=True, exist_ok=True)
            write_atomically(self.path, text.encode())
            save_state(state, self.path.with_name("trainer_state.json"))
        except OSError as error:
            raise TrainError(
                f"{self.path}: {error.strerror or error}",
                code="FT504",
                hint="Make room on the disk or choose another output_dir, then resume.",
            ) from error
        ended = time.monotonic()
        self._not_before = ended + (ended - began) / _SHARE

    def on_log(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Write the log so far, unless it was written a moment ago."""
        logs = cast("Mapping[str, Any]", kwargs.get("logs") or {})
        plain = "loss" in logs and not any(key.startswith("eval_") for key in logs)
        if not plain or time.monotonic() >= self._not_before:
            self._write_once(state)

    def on_evaluate(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Write the evaluation, and why the run stops where it does."""
        self._write_once(state)

    def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Write which checkpoints there are."""
        self._write_once(state)

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Write why the run ended."""
        self._write_once(state)

    def _write_once(self, state: Any) -> None:
        if state.is_world_process_zero:
            self.write(state)

    def _stopped(self, state: Any) -> dict[str, Any] | None:
        for stopper in self.stoppers:
            if stopper.reason is not None:
                return dict(stopper.reason)
        if 0 < state.max_steps <= state.global_step:
            where = {"epoch": state.epoch, "step": state.global_step}
            return {"reason": "planned end", **where, "policy": None}
        return None


def rows_of(log_history: Iterable[Mapping[str, Any]]) -> list[dict[str, Any]]:
    """Return one row for each step that was logged or evaluated, null where nothing is known."""
    rows: dict[Any, dict[str, Any]] = {}
    for entry in log_history:
        if "loss" not in entry and "eval_loss" not in entry:
            continue
        row = rows.setdefault(entry.get("step"), dict.fromkeys(COLUMNS))
        for name, keys in COLUMNS.items():
            for key in keys:
                row[name] = entry.get(key, row[name])
        row |= {name: entry[name] for name in MEASURED if name in entry}
    return list(rows.values())


def strict(value: Any) -> Any:
    """Return `value` as strict JSON knows it: None for NaN and infinities, plain numbers."""
    if isinstance(value, dict):
        mapping: dict[Any, Any] = value
        return {str(key): strict(item) for key, item in mapping.items()}
    if isinstance(value, (list, tuple)):
        return [strict(item) for item in cast("list[Any]", value)]
    if hasattr(value, "item"):  # a number of numpy or torch
        value = value.item()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    if value is None or isinstance(value, (str, int, float)):
        return value
    return str(value)


def save_state(state: Any, path: Path) -> None:
    """Put a `TrainerState` into the file `path` in transformers' format, in one move."""
    temporary = path.with_name(f"{path.name}.tmp")
    try:
        state.save_to_json(str(temporary))
        fsync(temporary)
        temporary.replace(path)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    fsync(path.parent)


def _of_step(checkpoints: Iterable[Mapping[str, Any]], step: int | None) -> str | None:
    for checkpoint in checkpoints:
        if str(checkpoint["path"]).rstrip("/").endswith(f"checkpoint-{step}"):
            return str(checkpoint["path"])
    return None
