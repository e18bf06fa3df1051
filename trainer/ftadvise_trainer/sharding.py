"""Which ways to spread a model over GPUs are supported: those whose checkpoints can be trusted.

A checkpoint counts when its manifest holds, and nothing in it is opened by plain pickle. DDP and
FSDP with `FULL_STATE_DICT` keep to that: safetensors, and torch files read with `weights_only`.
A sharded state dict of FSDP has its index in a pickle (`.metadata`, torch 2.13, `pickle.load` in
`torch/distributed/checkpoint/filesystem.py`), and DeepSpeed's `global_step*/` holds pickles of
its own objects; neither has one file with the weights that `final` could be made from.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ftadvise.text import clean
from ftadvise_trainer.errors import TrainError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ftadvise_trainer.config import Config

_FULL = "FULL_STATE_DICT"
_SUPPORTED = (
    "Supported are one GPU, torchrun (DDP), and FSDP with "
    "training.fsdp_config: {state_dict_type: FULL_STATE_DICT}."
)
_YES = ("1", "true", "yes", "on")


def check(config: Config, environment: Mapping[str, str] = os.environ) -> None:
    """Refuse settings whose checkpoints would count as invalid, before anything is loaded.

    Args:
        config: The settings.
        environment: What `accelerate launch` sets is looked for here.

    Raises:
        TrainError: FT501, DeepSpeed or a sharded state dict.
    """
    more = config.training.more
    if more.get("deepspeed") or _is_on(environment, "ACCELERATE_USE_DEEPSPEED"):
        _refuse("DeepSpeed is not supported: its checkpoints hold pickles")
    if more.get("fsdp"):
        kind = _state_dict_type(config)
    elif _is_on(environment, "ACCELERATE_USE_FSDP"):
        old = environment.get("FSDP_VERSION", "1") == "1"
        kind = environment.get("FSDP_STATE_DICT_TYPE", _FULL if old else "SHARDED_STATE_DICT")
    else:
        return
    # StateDictType(1) is the full one, as accelerate's config may number it.
    if kind.upper() not in (_FULL, "1"):
        _refuse(f"FSDP with {clean(kind, 40)} is not supported: its index is a pickle")


def _state_dict_type(config: Config) -> str:
    given: Any = config.training.more.get("fsdp_config") or {}
    if isinstance(given, str):
        try:
            given = json.loads(Path(given).read_text(encoding="utf-8"))
        except (OSError, ValueError) as error:
            raise TrainError(f"training.fsdp_config cannot be read: {clean(error)}") from error
    if not isinstance(given, dict):
        raise TrainError("training.fsdp_config must be a section, or name a JSON file with one")
    settings = cast("dict[str, Any]", given)
    for key in ("state_dict_type", "fsdp_state_dict_type"):
        if key in settings:
            return str(settings[key])
    return _FULL  # the default of transformers


def _is_on(environment: Mapping[str, str], name: str) -> bool:
    return environment.get(name, "").lower() in _YES


def _refuse(message: str) -> None:
    raise TrainError(message, hint=_SUPPORTED)
