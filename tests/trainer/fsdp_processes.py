"""One of two gloo processes whose model FSDP2 has cut: trains, and writes down what it saw.

Started by `test_fsdp_processes.py`, with the environment that torchrun would give it.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch
from tiny_models import arguments, pad, ragged_dataset, spoil_third_loss, tiny_model

from ftadvise_trainer.callbacks.best_k import BestK
from ftadvise_trainer.callbacks.early_stop import EarlyStop
from ftadvise_trainer.callbacks.nonfinite import NonFiniteGuard
from ftadvise_trainer.callbacks.preemption import Preemption
from ftadvise_trainer.errors import TrainError
from ftadvise_trainer.finetuner import FineTuner
from ftadvise_trainer.processes.sharded import eval_loss_with, is_sharded
from ftadvise_trainer.saving.checkpoints import newest_valid

FSDP = {"fsdp": True, "fsdp_config": {"version": 2, "state_dict_type": "FULL_STATE_DICT"}}
PARITY = {"optim": "sgd", "learning_rate": 0.1, "num_train_epochs": 2}
ROWS = 20


def trained(folder: Path, spread: dict[str, Any], size: int) -> dict[str, Any]:
    """Train and evaluate; the losses, and the whole weights where this process gets them."""
    args = arguments(
        folder, **PARITY, **spread, per_device_train_batch_size=size, eval_strategy="epoch"
    )
    trainer = FineTuner(
        tiny_model(),
        args,
        data_collator=pad,
        train_dataset=ragged_dataset(ROWS),
        eval_dataset=ragged_dataset(7, seed=2),
    )
    trainer.train()
    history = trainer.state.log_history
    whole: dict[str, Any] = trainer.accelerator.get_state_dict(trainer.model)
    return {
        "losses": [row["loss"] for row in history if "loss" in row],
        "norms": [row["grad_norm"] for row in history if "loss" in row],
        "eval": [row["eval_loss"] for row in history if "eval_loss" in row],
        "weights": {name: tensor.flatten().tolist() for name, tensor in whole.items()},
        "sharded": is_sharded(trainer.model),
    }


def poisoned(folder: Path, rank: int) -> dict[str, Any]:
    """Train; at step 3 the loss of process 1, and nothing else, is infinite."""
    model = tiny_model()
    if rank == 1:
        spoil_third_loss(model)
    args = arguments(folder, **FSDP, num_train_epochs=2, per_device_train_batch_size=2)
    trainer = FineTuner(
        model,
        args,
        data_collator=pad,
        train_dataset=ragged_dataset(24),
        callbacks=[NonFiniteGuard()],
    )
    try:
        trainer.train()
    except TrainError as error:
        return {"message": error.message, "step": trainer.state.global_step}
    return {"message": ""}


def stopped(folder: Path) -> dict[str, Any]:
    """Train until patience runs out, keeping the best two; the best is loaded back and scored."""
    stop, keep = EarlyStop(patience=2, threshold=10.0), BestK(2)
    args = arguments(
        folder, **FSDP, num_train_epochs=9, eval_strategy="epoch", save_strategy="epoch"
    )
    trainer = FineTuner(
        tiny_model(),
        args,
        data_collator=pad,
        train_dataset=ragged_dataset(16),
        eval_dataset=ragged_dataset(5),
        callbacks=[stop, keep],
    )
    trainer.train()
    best = keep.best()
    assert best is not None
    from ftadvise_trainer.saving.averaging import mean_weights

    score = eval_loss_with(trainer, lambda: mean_weights([best]))
    return {
        "step": trainer.state.global_step,
        "reason": stop.reason,
        "kept": [one["step"] for one in keep.checkpoints()],
        "best": [best.name, min(one["eval_loss"] for one in keep.checkpoints()), score],
        "valid": str(newest_valid(folder)[0]),
    }


def preempted(folder: Path, rank: int) -> dict[str, Any]:
    """Train; process 1 alone is signalled at step 2."""
    preemption = Preemption()

    def signalled(module: Any, inputs: Any, output: Any) -> None:
        if rank == 1 and trainer.state.global_step == 2:
            preemption.signal = 15

    model = tiny_model()
    model.register_forward_hook(signalled)
    args = arguments(folder, **FSDP, num_train_epochs=5, per_device_train_batch_size=2)
    trainer = FineTuner(
        model,
        args,
        data_collator=pad,
        train_dataset=ragged_dataset(16),
        callbacks=[preemption, BestK(1)],
    )
    trainer.train()
    valid, _ = newest_valid(folder)
    return {"step": trainer.state.global_step, "saved": valid.name if valid else None}


def widened(folder: Path) -> dict[str, Any]:
    """Train bfloat16 weights with bf16 on, as FSDP2 has them; what they are then, and on disk."""
    args = arguments(folder, **FSDP, bf16=True, max_steps=1, save_strategy="steps", save_steps=1)
    model = tiny_model().bfloat16()
    numbers = sum(parameter.numel() for parameter in model.parameters())
    trainer = FineTuner(
        model, args, data_collator=pad, train_dataset=ragged_dataset(4), callbacks=[BestK(1)]
    )
    trainer.train()
    after: Any = trainer.model
    saved = (folder / "checkpoint-1").iterdir()
    return {
        "types": sorted({str(parameter.dtype) for parameter in after.parameters()}),
        "numbers": numbers,
        "bytes": sum(p.stat().st_size for p in saved if p.suffix in (".safetensors", ".bin")),
    }


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    found: dict[str, Any] = {"trained": trained(folder / "a", FSDP, 2)}
    rank = torch.distributed.get_rank()
    found["poisoned"] = poisoned(folder / "b", rank)
    found["stopped"] = stopped(folder / "c")
    found["preempted"] = preempted(folder / "d", rank)
    found["widened"] = widened(folder / "e")
    (folder / f"rank{rank}.json").write_text(json.dumps(found), encoding="utf-8")
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
