"""A model that FSDP2 has cut into parts: made so where accelerate would not, and given weights.

Everything here is for a run with several processes and `training.sharding` fsdp or hsdp.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
from accelerate import PartialState  # type: ignore[import-untyped]  # it brings no types
from accelerate.utils import (  # type: ignore[import-untyped]  # it brings no types
    DistributedType,
    FullyShardedDataParallelPlugin,
)
from torch.distributed.checkpoint.state_dict import StateDictOptions, set_model_state_dict

if TYPE_CHECKING:
    from collections.abc import Callable


def keep_precision(arguments: Any) -> None:
    """Let FSDP2 compute in bf16 and do nothing else in it; `arguments` are changed in place.

    accelerate would reduce the gradients in bf16 too, and round what the model returns: the loss.
    The parts of the weights stay in float32 in any case.

    Args:
        arguments: `TrainingArguments`.
    """
    given: dict[str, Any] | None = arguments.fsdp_plugin_args
    if given is None or not arguments.bf16:
        return
    import torch
    from torch.distributed.fsdp import MixedPrecisionPolicy

    given["mixed_precision_policy"] = MixedPrecisionPolicy(
        param_dtype=torch.bfloat16, reduce_dtype=torch.float32, output_dtype=None
    )


def insist(trainer: Any) -> None:
    """Have accelerate cut the model also on CPUs, where it passes over FSDP without a word.

    accelerate 1.15 looks for a plugin in `AcceleratorState` only on GPUs and the like, and would
    train with DDP; FSDP2 itself runs on CPUs too.

    Args:
        trainer: A `transformers.Trainer` that has just made its accelerator.
    """
    state = trainer.accelerator.state
    wanted: dict[str, Any] | None = trainer.args.fsdp_plugin_args
    if wanted is None or state.distributed_type != DistributedType.MULTI_CPU:
        return
    state.fsdp_plugin = FullyShardedDataParallelPlugin(**wanted)
    state.distributed_type = PartialState().distributed_type = DistributedType.FSDP
    trainer.is_fsdp_enabled = True


def is_sharded(model: Any) -> bool:
    """Return whether FSDP2 has cut a model into parts."""
    return any(hasattr(parameter, "full_tensor") for parameter in model.parameters())


def give_weights(model: Any, first: bool, weights: Callable[[], dict[str, torch.Tensor]]) -> None:
    """Give a model that is cut into parts whole weights; all processes have to call this.

    Args:
        model: The model.
        first: Whether this is the first process, which alone has to have the weights.
        weights: Returns them by their names in a checkpoint; tied ones may stand there once.
    """
    whole: dict[str, Any] = dict(with_tied(model, weights())) if first else {}
    options = StateDictOptions(full_state_dict=True, broadcast_from_rank0=True, strict=True)
    set_model_state_dict(model, whole, options=options)


def eval_loss_with(trainer: Any, weights: Callable[[], dict[str, torch.Tensor]]) -> float:
    """Return the eval loss of a model that is cut into parts with these weights, which it keeps.

    accelerate takes no second such model in a process without an optimizer, so the trained one is
    given the weights. All processes have to call this; no logger and no callback is told.
    """
    give_weights(trainer.model, trainer.is_world_process_zero(), weights)
    loader = trainer.get_eval_dataloader()
    output = trainer.evaluation_loop(loader, description="final", prediction_loss_only=True)
    return float(output.metrics["eval_loss"])


def with_tied(model: Any, weights: dict[str, torch.Tensor]) -> dict[str, torch.Tensor]:
    """Return the weights of a checkpoint with tied ones under all of their names."""
    first: dict[int, str] = {}
    same: dict[str, str] = {}
    for name, parameter in model.named_parameters(remove_duplicate=False):
        same[name] = first.setdefault(id(parameter), name)
    known = {same[name]: tensor for name, tensor in weights.items() if name in same}
    return weights | {name: known[other] for name, other in same.items() if other in known}
