"""What is known of a run besides its curves: model, data and how it was trained.

Read from `training_metrics.json` as `ftadvise train` writes it, or from the `config.json` and
`adapter_config.json` that transformers and peft leave beside a checkpoint. What nobody wrote down
stays None: nothing is guessed from a curve.
"""

from __future__ import annotations

import json
import os
import re
from collections.abc import Mapping
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any, cast

MAX_BYTES = 64 * 1024 * 1024
_LONGEST = 1000
_LARGEST = 2**62
_OF_A_TRAINER = ("training_metrics.json", "trainer_state.json")

_PARAMETERS = re.compile(r"(?<![0-9a-z.])(?:(\d{1,3})x)?(\d{1,4}(?:\.\d{1,3})?)([bm])(?![a-z0-9])")
_FAMILY = re.compile(r"(?:meta-)?([a-z]+)(?=[^a-z]*\d)", re.IGNORECASE)
_NO_FAMILY = ("checkpoint", "epoch", "final", "model", "output", "outputs", "run", "step", "v")


@dataclass(frozen=True)
class Facts:
    """What makes runs comparable; None where nothing is known.

    Attributes:
        model: Name of the model that was fine-tuned, as it was given.
        family: Its family in lower case, such as `"qwen"`.
        parameters: How many it has.
        data: Fingerprint of the train side, as tokens.
        examples: Examples in the train side.
        tokens_per_epoch: Tokens in it.
        learning_rate: At its peak.
        schedule: Name of the learning-rate schedule.
        batch_size: Examples in an optimizer step.
        method: `"full"` or `"lora"`.
        lora_rank: Rank of the adapter.
        stopped: Why training ended.
    """

    model: str | None = None
    family: str | None = None
    parameters: int | None = None
    data: str | None = None
    examples: int | None = None
    tokens_per_epoch: int | None = None
    learning_rate: float | None = None
    schedule: str | None = None
    batch_size: int | None = None
    method: str | None = None
    lora_rank: int | None = None
    stopped: str | None = None

    def over(self, other: Facts) -> Facts:
        """Return these facts, and those of `other` where these know nothing."""
        known = {f.name: getattr(self, f.name) for f in fields(self)}
        return Facts(**{k: getattr(other, k) if v is None else v for k, v in known.items()})


def facts_in(document: object) -> Facts:
    """Return what a `training_metrics.json` of ftadvise says beside its curves."""
    top = _dict(document)
    config, data = _dict(top.get("config")), _dict(top.get("data"))
    training, lora = _dict(config.get("training")), config.get("lora")
    train = _dict(data.get("train"))
    name = _text(top.get("model"))
    family = _text(_dict(config.get("model")).get("family"))
    return Facts(
        model=name,
        family=family or family_of(name or ""),
        parameters=parameters_in(name or ""),
        data=_text(data.get("fingerprint")),
        examples=_whole(train.get("kept")),
        tokens_per_epoch=_whole(train.get("total_tokens")),
        learning_rate=_number(training.get("learning_rate")),
        schedule=_text(training.get("lr_scheduler_type")),
        batch_size=_batch(training, _whole(train.get("kept")), _steps_per_epoch(top)),
        method=("lora" if isinstance(lora, dict) else "full") if config else None,
        lora_rank=_whole(_dict(cast("object", lora)).get("r")),
        stopped=_text(_dict(top.get("stopped")).get("reason")),
    )


def facts_near(path: str | os.PathLike[str]) -> Facts:
    """Return what stands in a log, and in the files beside it, about the run.

    Args:
        path: The log, a checkpoint folder or an output folder; nothing in it is ever executed.
    """
    given = Path(path)
    try:
        is_folder = given.is_dir()
    except OSError:  # no right to look
        return Facts()
    if not is_folder and given.name not in _OF_A_TRAINER:
        return _facts_of_log(_json(given))  # what lies beside it may be of another run
    folder = given if is_folder else given.parent
    above = folder.parent if folder.name.startswith("checkpoint-") else folder
    found = _facts_of_log(_json(above / "training_metrics.json"))
    config, adapter = _json(folder / "config.json"), _json(folder / "adapter_config.json")
    return found.over(_facts_of_model(_dict(config), _dict(adapter)))


def family_of(name: str) -> str | None:
    """Return the family in a model's name: `"qwen"` of `Qwen/Qwen2.5-0.5B`; None without one."""
    last = re.split(r"[/\\]", name.rstrip("/\\"))[-1]
    found = _FAMILY.match(last)
    family = found[1].lower() if found else None
    return None if family in _NO_FAMILY else family


def parameters_in(name: str) -> int | None:
    """Return the size that a model's name tells, such as 500 000 000 of `Qwen2.5-0.5B`."""
    found = _PARAMETERS.search(name.lower())
    if not found:
        return None
    each = float(found[2]) * (1e9 if found[3] == "b" else 1e6)
    return round(each * int(found[1] or 1))


def _facts_of_log(document: object) -> Facts:
    top = _dict(document)
    return facts_in(top) if str(top.get("schema", "")).startswith("ftadvise.metrics/") else Facts()


def _facts_of_model(config: dict[str, Any], adapter: dict[str, Any]) -> Facts:
    base = _text(adapter.get("base_model_name_or_path"))
    name = base or _text(config.get("_name_or_path"))
    kind = _text(config.get("model_type"))
    leading = re.match(r"[a-z]+", kind or "")
    return Facts(
        model=name,
        family=leading[0] if leading else family_of(name or ""),
        parameters=parameters_in(name or ""),
        method="lora" if adapter else None,
        lora_rank=_whole(adapter.get("r")),
    )


def _batch(training: dict[str, Any], examples: int | None, steps: float | None) -> int | None:
    """Return the examples in an optimizer step, over all processes.

    The settings say it for one process; how many there were shows in the steps of an epoch.
    """
    over_all = _whole(training.get("batch_size"))
    if over_all:
        return over_all
    each = _whole(training.get("per_device_train_batch_size"))
    passes = _whole(training.get("gradient_accumulation_steps")) or 1
    if not each:
        return None
    alone = each * passes
    processes = round(examples / (steps * alone)) if examples and steps else 1
    return alone * max(1, processes)


def _steps_per_epoch(top: dict[str, Any]) -> float | None:
    best = _dict(top.get("stopped")) or _dict(top.get("best"))
    step, epoch = _number(best.get("step")), _number(best.get("epoch"))
    return step / epoch if step and epoch and epoch > 0 else None


def _json(path: Path) -> object:
    try:
        if not path.is_file() or path.stat().st_size > MAX_BYTES:
            return None
        found: object = json.loads(path.read_bytes())
    except (OSError, ValueError, RecursionError, MemoryError):
        return None
    return found


def _dict(value: object) -> dict[str, Any]:
    return dict(cast("Mapping[str, Any]", value)) if isinstance(value, Mapping) else {}


def _text(value: object) -> str | None:
    return value[:_LONGEST] if isinstance(value, str) and value else None


def _number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    return float(value) if abs(value) < _LARGEST else None


def _whole(value: object) -> int | None:
    plain = _number(value)
    return int(plain) if plain is not None and plain >= 0 else None
