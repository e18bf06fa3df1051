"""What the settings in a log, as JSON has them, say about how its run was set up."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, cast

from ftadvise.readers.series.tables import number
from ftadvise.run import Settings

if TYPE_CHECKING:
    from collections.abc import Iterator

_CONTAINERS = re.compile(
    r"(?:(?:training|train)_?)?(?:config|settings|args|arguments)|training|trainer"
    r"|hyper_?parameters|hparams|params|early_stopping",
    re.IGNORECASE,
)
_NUMBERS = (
    "num_train_epochs", "eval_steps", "save_steps", "save_total_limit",
    "early_stopping_patience", "early_stopping_threshold",
)  # fmt: skip
_WHOLE = frozenset({"save_total_limit", "early_stopping_patience"})
ENDED_BY_ITSELF = "anneal on onset"
"""Policy in `training_metrics.json` of a run whose decay began when its own curves said so."""
_PLANNED = ("num_train_epochs", "num_epochs", "max_epochs", "n_epochs", "epochs")


def settings_in(document: Any) -> Settings:
    """Return the settings under their known names in the parts of `document` that hold set-up."""
    found: dict[str, Any] = {}
    for part in _parts(document):
        for name in _NUMBERS:
            value = _finite(part.get(name))
            if value is not None:
                found.setdefault(name, int(value) if name in _WHOLE else value)
        if isinstance(part.get("load_best_model_at_end"), bool):
            found.setdefault("load_best_model_at_end", part["load_best_model_at_end"])
        schedule = part.get("lr_scheduler_type")
        if isinstance(schedule, str) and schedule.replace("_", "").isalnum():
            found.setdefault("lr_scheduler_type", schedule[:60])
    return Settings(**found)


def planned_epochs_in(document: Any) -> float | None:
    """Return how many epochs the set-up in `document` asks for, or that a run gave itself."""
    itself = own_epochs_in(document)
    if itself is not None:
        return itself
    for part in _parts(document):
        for name in _PLANNED:
            value = _finite(part.get(name))
            if value is not None and value > 0:
                return value
    return None


def own_epochs_in(document: Any) -> float | None:
    """Return the epochs of a run whose decay began when its own curves said so; else None.

    The epochs that its set-up names are only the most that it may have.
    """
    top = cast("dict[str, Any]", document) if isinstance(document, dict) else {}
    stopped = top.get("stopped")
    if not isinstance(stopped, dict):
        return None
    how = cast("dict[str, Any]", stopped)
    return (_finite(how.get("epoch")) or None) if how.get("policy") == ENDED_BY_ITSELF else None


def _parts(document: Any) -> Iterator[dict[str, Any]]:
    """Yield the objects that hold set-up, at most two levels down."""
    if not isinstance(document, dict):
        return
    level = [cast("dict[str, Any]", document)]
    for _ in range(3):
        deeper: list[dict[str, Any]] = []
        for part in level:
            for key, child in part.items():
                if _CONTAINERS.fullmatch(key) and isinstance(child, dict):
                    deeper.append(cast("dict[str, Any]", child))
        yield from deeper
        level = deeper[:100]


def _finite(value: Any) -> float | None:
    plain = number(value)
    # transformers writes sys.maxsize for "no limit in epochs".
    return plain if plain is not None and math.isfinite(plain) and 0 <= plain < 1e9 else None
