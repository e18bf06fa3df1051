"""`auto.json`: what `--auto` chose for a run, and whether all was done that is left to do after it.

It lies beside the checkpoints, where people can edit it: what does not fit is as if it were not
there, and then the newest checkpoint says what the run began with.
"""

from __future__ import annotations

import json
import math
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, cast

from ftadvise.history import Prediction
from ftadvise.text import clean
from ftadvise_trainer.auto.choice import Choice
from ftadvise_trainer.auto.next_run import FILE
from ftadvise_trainer.saving.checkpoints import listed
from ftadvise_trainer.saving.durable import write_atomically
from ftadvise_trainer.settings.keys import AUTO_SCHEDULE

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

SCHEMA = "ftadvise.auto/1"
_MOST_BYTES = 1024 * 1024


def _is_number(value: Any) -> bool:
    return type(value) in (int, float) and abs(value) < 2**62 and math.isfinite(value)


def _is_count(value: Any) -> bool:
    return type(value) is int and 0 < value < 2**62


_FITS: dict[str, Callable[[Any], bool]] = {
    "num_train_epochs": lambda value: _is_number(value) and value > 0,
    "lr_scheduler_type": lambda value: value == AUTO_SCHEDULE,
    "eval_strategy": lambda value: value == "steps",
    "eval_steps": _is_count,
    "save_strategy": lambda value: value == "steps",
    "save_steps": _is_count,
    "save_total_limit": _is_count,
    "early_stopping_patience": lambda value: value is None or _is_count(value),
    "early_stopping_threshold": lambda value: _is_number(value) and value >= 0,
    "stop_when_eval_rises_while_train_falls": lambda value: value is None,
}


def record(folder: Path, choice: Choice) -> None:
    """Write down what was chosen for the run in a folder.

    Raises:
        OSError: It cannot be written.
    """
    _write(folder, {"schema": SCHEMA, "closed": False, **asdict(choice)})


def recorded(folder: Path) -> Choice | None:
    """Return what was chosen for the run in a folder; None where nothing that fits is there."""
    body = _body(folder)
    settings, why, lines = body.get("settings"), body.get("why"), body.get("lines")
    if body.get("schema") != SCHEMA or not isinstance(settings, dict) or not settings:
        return None
    given = cast("dict[str, Any]", settings)
    if not all(key in _FITS and _FITS[key](value) for key, value in given.items()):
        return None
    told = cast("list[object]", lines) if isinstance(lines, list) else []
    sources = cast("dict[str, Any]", why) if isinstance(why, dict) else {}
    return Choice(
        given,
        {key: clean(sources.get(key, ""), 300) for key in given},
        tuple(clean(line, 500) for line in told if isinstance(line, str)),
        _foretold(body.get("prediction")),
    )


def begun(folder: Path) -> Choice | None:
    """Return what the run in a folder began with; None where none has come to a checkpoint."""
    there = listed(folder)
    if not there:
        return None
    found = recorded(folder)
    if found is not None:
        return found
    path, manifest = there[-1]
    training = manifest.settings.get("training")
    given = cast("dict[str, Any]", training) if isinstance(training, dict) else {}
    settings = {
        key: given[key] for key, fits in _FITS.items() if key in given and fits(given[key])
    }
    why = f"{FILE} is missing or damaged, so the settings are those of {clean(path.name)}"
    return Choice(settings, dict.fromkeys(settings, why), (why,)) if settings else None


def close(folder: Path) -> None:
    """Note that nothing is left to do after the run in a folder.

    Raises:
        OSError: It cannot be written.
    """
    body = _body(folder)
    if body.get("closed") is False:
        _write(folder, {**body, "closed": True})


def _foretold(given: object) -> Prediction | None:
    found = cast("dict[str, Any]", given) if isinstance(given, dict) else {}
    values = [found.get(key) for key in ("epochs", "eval_loss", "low", "high")]
    epochs, loss, low, high = (
        float(v) if v is not None and _is_number(v) else None for v in values
    )
    return None if epochs is None or loss is None else Prediction(epochs, loss, low, high)


def _body(folder: Path) -> dict[str, Any]:
    try:
        with (folder / FILE).open("rb") as file:
            found: object = json.loads(file.read(_MOST_BYTES))
    except (OSError, ValueError, RecursionError):
        return {}
    return cast("dict[str, Any]", found) if isinstance(found, dict) else {}


def _write(folder: Path, body: dict[str, Any]) -> None:
    write_atomically(folder / FILE, (json.dumps(body, indent=1) + "\n").encode())
