"""What a `Run` holds besides its points, as JSON text and back."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from dataclasses import asdict
from typing import Any, cast

import numpy as np

from ftadvise.history.points import Columns
from ftadvise.run import LearningRates, Run, Series, Settings, Source

MAX_TEXT = 4 * 1024 * 1024  # characters

_WORDS = {"nan": math.nan, "inf": math.inf, "-inf": -math.inf}  # JSON has no numbers for these
_NUMBERS = ("num_train_epochs", "eval_steps", "save_steps", "early_stopping_threshold")
_WHOLE = ("save_total_limit", "early_stopping_patience")


def rest_of(run: Run) -> str:
    """Return what is not points as ASCII JSON, which carries any name a log can have.

    Raises:
        ValueError: If it is longer than `MAX_TEXT`.
    """
    plain = {
        "keys": {"train": run.train.key, "eval": run.eval.key, "rates": run.lr.key},
        "planned_epochs": run.planned_epochs,
        "planned_steps": run.planned_steps,
        "settings": asdict(run.settings),
        "source": asdict(run.source),
        "nonfinite": run.nonfinite,
        "restarts": run.restarts,
        "notes": run.notes,
    }
    text = json.dumps(_strict(plain), allow_nan=False, separators=(",", ":"))
    if len(text) > MAX_TEXT:
        raise ValueError(f"{len(text):,} characters besides its points, over {MAX_TEXT:,}")
    return text


def _strict(value: Any) -> Any:
    if isinstance(value, dict):
        return {key: _strict(item) for key, item in cast("dict[str, Any]", value).items()}
    if isinstance(value, float) and not math.isfinite(value):
        return str(float(value))
    return cast("object", value.item()) if isinstance(value, np.generic) else value


def run_from(text: object, points: dict[str, Columns]) -> Run:
    """Put a run together again.

    Args:
        text: From `rest_of`, or from somebody who pretends.
        points: Its columns by `"train"`, `"eval"` and `"rates"`.

    Raises:
        ValueError: If `text` is not what `rest_of` writes.
    """
    if not isinstance(text, str) or len(text) > MAX_TEXT:
        raise ValueError("no description of the run")
    try:
        plain = _dict(json.loads(text))
    except RecursionError:
        raise ValueError("a description nested too deep") from None
    keys = _dict(plain.get("keys"))
    return Run(
        train=Series(_text(keys.get("train")), *points["train"]),
        eval=Series(_text(keys.get("eval")), *points["eval"]),
        lr=LearningRates(_text(keys.get("rates")), *points["rates"]),
        planned_epochs=_number(plain.get("planned_epochs")),
        planned_steps=_number(plain.get("planned_steps")),
        settings=_settings(_dict(plain.get("settings"))),
        source=_source(_dict(plain.get("source"))),
        nonfinite={key: _count(n) for key, n in _dict(plain.get("nonfinite")).items()},
        restarts=_count(plain.get("restarts")),
        notes=_texts(plain.get("notes")),
    )


def _settings(plain: dict[str, Any]) -> Settings:
    found: dict[str, Any] = {name: _number(plain.get(name)) for name in _NUMBERS}
    found |= {name: _whole(plain.get(name)) for name in _WHOLE}
    return Settings(
        **found,
        load_best_model_at_end=_checked(plain.get("load_best_model_at_end"), _is_bool),
        lr_scheduler_type=_text(plain.get("lr_scheduler_type")),
    )


def _source(plain: dict[str, Any]) -> Source:
    path, form, name = (_text(plain.get(key)) or "" for key in ("path", "format", "run"))
    return Source(path, form, name, _texts(plain.get("others")))


def _checked(value: Any, right: Callable[[Any], bool]) -> Any:
    if value is not None and not right(value):
        raise ValueError(f"a {type(value).__name__} where there was none")
    return value


def _is_bool(value: Any) -> bool:
    return isinstance(value, bool)


def _is_number(value: Any) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool)


def _is_whole(value: Any) -> bool:
    return isinstance(value, int) and not isinstance(value, bool)


def _number(value: Any) -> Any:
    """Return a number as it was, an int still an int."""
    if isinstance(value, str):
        if value not in _WORDS:
            raise ValueError("a text where a number was")
        return _WORDS[value]
    if _is_whole(value) and abs(value) > 2**63:
        raise ValueError("a number too large")
    return _checked(value, _is_number)


def _whole(value: Any) -> Any:
    return _checked(value, _is_whole)


def _count(value: Any) -> int:
    return int(_checked(0 if value is None else value, _is_whole))


def _text(value: Any) -> Any:
    return _checked(value, lambda given: isinstance(given, str))


def _texts(value: Any) -> tuple[str, ...]:
    found = _checked([] if value is None else value, lambda given: isinstance(given, list))
    return tuple(str(_text(item) or "") for item in found)


def _dict(value: Any) -> dict[str, Any]:
    found = _checked({} if value is None else value, lambda given: isinstance(given, dict))
    return cast("dict[str, Any]", found)
