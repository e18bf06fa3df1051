"""How a model is spread over GPUs: DDP, FSDP2 or HSDP; and what is refused, and why.

DDP, where every GPU holds all of it, is the simplest and the fastest as long as weights, gradients
and optimizer fit; else FSDP2 cuts them into one part for each GPU, and HSDP does so within a host
and keeps a copy on each: what goes between hosts is then the gradients alone.

A checkpoint counts when its manifest holds, and nothing in it is opened by plain pickle. DDP and
FSDP with `FULL_STATE_DICT` keep to that: safetensors, and torch files read with `weights_only`.
A sharded state dict of FSDP has its index in a pickle (`.metadata`, torch 2.13, `pickle.load` in
`torch/distributed/checkpoint/filesystem.py`), and DeepSpeed's `global_step*/` holds pickles of
its own objects; neither has one file with the weights that `final` could be made from.
"""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

from ftadvise.text import clean
from ftadvise_trainer.bf16 import weight_types
from ftadvise_trainer.errors import TrainError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ftadvise_trainer.config import Config

_FULL = "FULL_STATE_DICT"
_SUPPORTED = "Leave it out: training.sharding chooses between DDP and FSDP2 with FULL_STATE_DICT."
_YES = ("1", "true", "yes", "on")
KINDS = ("auto", "ddp", "fsdp", "hsdp")
_ROOM = 0.7
"""Share of a GPU's memory that weights, gradients and optimizer may take under DDP; the rest is for
activations, the buckets of gradients and the kernels' own."""

# As transformers 5.17 and 5.23 want it: FSDP2, a unit for each decoder block, whole tensors in the
# checkpoints, and each process loading the weights by itself.
_FSDP: dict[str, Any] = {
    "version": 2,
    "auto_wrap_policy": "TRANSFORMER_BASED_WRAP",
    "state_dict_type": _FULL,
    "reshard_after_forward": True,
    "cpu_ram_efficient_loading": False,
}


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


@dataclass(frozen=True)
class Sharding:
    """How a model is spread.

    Attributes:
        kind: `ddp`, `fsdp` or `hsdp`; `none` for a single process.
        note: The same in words, with the reason.
    """

    kind: str
    note: str = ""


def chosen(config: Config, environment: Mapping[str, str] = os.environ) -> Sharding:
    """Decide how the model is spread: as the YAML says, else by memory.

    Args:
        config: The settings.
        environment: What torchrun sets is looked for here.

    Raises:
        TrainError: FT501, the settings or the machine do not go with `training.sharding`.
    """
    wanted = config.training.sharding
    processes = int(environment.get("WORLD_SIZE", "1"))
    hosts = int(environment.get("GROUP_WORLD_SIZE", "1"))
    if wanted not in KINDS:
        raise TrainError(f"training.sharding: {clean(wanted, 40)} is none of {', '.join(KINDS)}")
    if processes == 1:
        return Sharding("none")
    if config.training.more.get("fsdp"):
        return Sharding("none", "the model is spread as training.fsdp says")
    if wanted in ("fsdp", "hsdp") and config.lora is not None:
        raise TrainError(
            f"training.sharding: {wanted} with lora is not supported: it was not tried",
            hint="An adapter takes little memory of its own: use ddp, or a smaller model.",
        )
    if wanted == "hsdp" and (hosts < 2 or processes % hosts):
        raise TrainError(
            f"training.sharding: hsdp needs several hosts with as many processes each, and this "
            f"run has {processes} processes on {hosts}",
            hint="On one host take fsdp.",
        )
    if wanted == "hsdp" and not on_gpus(config):
        raise TrainError(
            "training.sharding: hsdp needs GPUs: accelerate makes no mesh of hosts with CPUs",
            hint="Take fsdp, which runs on CPUs too.",
        )
    if wanted != "auto":
        return Sharding(wanted, f"{_WORDS[wanted]}, as set")
    return _by_memory(config, hosts)


_WORDS = {
    "ddp": "every process holds the whole model (ddp)",
    "fsdp": "the model is cut into one part for each process (fsdp)",
    "hsdp": "the model is cut into parts within each host (hsdp)",
}


def _by_memory(config: Config, hosts: int) -> Sharding:
    import torch

    if not on_gpus(config):
        return Sharding("ddp", f"{_WORDS['ddp']}: no CUDA GPU is used")
    room = int(torch.cuda.get_device_properties(0).total_memory * _ROOM)
    try:
        needed = held_by_each(config)
    except TrainError:  # it has code of its own, which does not run for an estimate
        return Sharding("ddp", f"{_WORDS['ddp']}: its size is not known; sharding: fsdp cuts it")
    words = f"{needed / 1e9:.1f} GB of weights, gradients and optimizer"
    if needed <= room:
        return Sharding("ddp", f"{_WORDS['ddp']}: {words} fit a GPU")
    if config.lora is not None:
        return Sharding("ddp", f"{_WORDS['ddp']}: {words} may not fit, but an adapter is not cut")
    kind = "hsdp" if hosts > 1 else "fsdp"
    return Sharding(kind, f"{_WORDS[kind]}: {words} do not fit a GPU")


def on_gpus(config: Config) -> bool:
    """Return whether the training uses CUDA GPUs."""
    import torch

    return torch.cuda.is_available() and not config.training.more.get("use_cpu")


def held_by_each(config: Config) -> int:
    """Return about how many bytes each process holds under DDP, activations left out."""
    from ftadvise_trainer.models import family_of
    from ftadvise_trainer.speed.memory import needed, shape_of

    width = {"bfloat16": 2}.get(config.model.dtype, 4)
    memory = needed(
        shape_of(config, family_of(config)),
        0,
        weight_bytes=width,
        autocast=False,
        kahan=weight_types.kahan(config),
    )
    return memory.weights + 2 * memory.gradients + memory.adam  # DDP's buckets copy the gradients


def arguments(config: Config, environment: Mapping[str, str] = os.environ) -> dict[str, Any]:
    """Return the settings of `TrainingArguments` that spread the model as `chosen` says.

    Raises:
        TrainError: As `chosen`.
    """
    kind = chosen(config, environment).kind
    if kind == "ddp":
        return {"ddp_find_unused_parameters": False}
    if kind not in ("fsdp", "hsdp"):
        return {}
    made: dict[str, Any] = {"fsdp": True, "fsdp_config": dict(_FSDP)}
    if kind == "hsdp":
        from accelerate import ParallelismConfig  # type: ignore[import-untyped]

        within = int(environment["LOCAL_WORLD_SIZE"])
        hosts = int(environment["WORLD_SIZE"]) // within
        made["parallelism_config"] = ParallelismConfig(
            dp_replicate_size=hosts, dp_shard_size=within
        )
    return made


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
