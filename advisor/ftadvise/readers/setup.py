"""What a JSON log says about how its run was set up."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING, Any, cast

from ftadvise.readers.tables import number
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
    """Return how many epochs the set-up in `document` asks for."""
    for part in _parts(document):
        for name in _PLANNED:
            value = _finite(part.get(name))
            if value is not None and value > 0:
                return value
    return None


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
