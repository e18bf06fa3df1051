"""What a trainer prints about the run before it begins: epochs, steps, batch size, settings."""

from __future__ import annotations

import math
import re
from dataclasses import dataclass, field
from typing import Any

_COUNT = r"\s{0,20}=\s{0,20}(\d[\d,]{0,30})"
# transformers: "Num Epochs = 3", "Total optimization steps = 360"; Unsloth: "Total steps = 60".
_LINES = {
    "epochs": re.compile(r"Num Epochs" + _COUNT),
    "steps": re.compile(r"Total (?:optimization )?steps" + _COUNT),
    "examples": re.compile(r"Num examples" + _COUNT),
    "batch": re.compile(r"Total (?:train )?batch size\s?(?:\([^()]{0,100}\))?" + _COUNT),
}
# In the repr of TrainingArguments, in code, in a dict, in YAML or in a command line.
_SETTING = re.compile(
    r"(?:--(?=\w{1,40}\s)|\b(?=\w{1,40}['\"]?\s{0,5}[=:]))"
    r"(num_train_epochs|eval_steps|save_steps|save_total_limit|early_stopping_patience"
    r"|early_stopping_threshold|load_best_model_at_end|lr_scheduler_type)['\"]?\s{0,5}[=:]?"
    r"\s{0,5}['\"]?([\w.+-]{1,60})"
)
_SCHEDULES = frozenset({
    "linear", "cosine", "cosine_with_restarts", "polynomial", "constant", "constant_with_warmup",
    "inverse_sqrt", "reduce_lr_on_plateau", "cosine_with_min_lr", "warmup_stable_decay",
    "cosine_warmup_with_min_lr",
})  # fmt: skip
_WHOLE = frozenset({"save_total_limit", "early_stopping_patience"})
_NO_LIMIT = 1e9  # transformers prints sys.maxsize where only the steps are limited


@dataclass
class Plan:
    """What was planned for a run, as far as it was printed.

    Attributes:
        epochs: Epochs; rounded up by transformers where the steps are the limit.
        steps: Optimizer steps.
        examples: Training examples.
        batch: Examples in an optimizer step.
        settings: Settings by the names of `ftadvise.run.Settings`.
    """

    epochs: float | None = None
    steps: float | None = None
    examples: float | None = None
    batch: float | None = None
    settings: dict[str, Any] = field(default_factory=dict[str, Any])

    def read(self, line: str) -> None:
        """Take what `line` says, the latest for each name."""
        if "=" in line and ("Num " in line or "Total " in line):
            for name, pattern in _LINES.items():
                match = pattern.search(line)
                if match is not None:
                    value = float(match[1].replace(",", ""))
                    setattr(self, name, value if 0 < value < _NO_LIMIT else None)
        if "_" in line:
            for match in _SETTING.finditer(line):
                self._set(match[1], match[2])

    def _set(self, name: str, text: str) -> None:
        value: Any
        if name == "lr_scheduler_type":
            value = text.rpartition(".")[2].lower()  # SchedulerType.COSINE
            value = value if value in _SCHEDULES else None
        elif name == "load_best_model_at_end":
            value = {"true": True, "false": False}.get(text.lower())
        else:
            value = _finite(text)
            value = int(value) if value is not None and name in _WHOLE else value
        if value is not None:
            self.settings[name] = value

    @property
    def per_epoch(self) -> float | None:
        """Optimizer steps in an epoch, where the plan tells.

        Steps over epochs, unless examples and batch size say that the steps were the limit.
        """
        counted = None
        if self.examples and self.batch and (self.epochs or self.steps is None):
            counted = math.ceil(self.examples / self.batch)
        if self.steps and self.epochs:
            divided = self.steps / self.epochs
            if counted is None or abs(divided - counted) <= 1.5:
                return divided
        return float(counted) if counted else None

    @property
    def certain(self) -> bool:
        """Whether `per_epoch` holds even if the steps were the limit."""
        return bool(self.examples and self.batch and self.per_epoch)


def _finite(text: str) -> float | None:
    try:
        value = float(text)
    except ValueError:
        return None
    return value if 0 <= value < _NO_LIMIT else None
