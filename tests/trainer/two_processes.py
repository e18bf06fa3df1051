"""One of several gloo processes: trains, evaluates, and writes down what it saw.

Started by `test_finetuner_processes.py`, with the environment that torchrun would give it.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch
from tiny_models import (
    Rows,
    arguments,
    pad,
    ragged_dataset,
    spoil_third_loss,
    tiny_experts,
    tiny_model,
    weights,
)

from ftadvise_trainer.callbacks.early_stop import EarlyStop
from ftadvise_trainer.callbacks.nonfinite import NonFiniteGuard
from ftadvise_trainer.data.collate import Collator
from ftadvise_trainer.data.packing import Layout
from ftadvise_trainer.errors import TrainError
from ftadvise_trainer.finetuner import FineTuner
from ftadvise_trainer.scoring import set_weights_of_all

PARITY = {
    "optim": "sgd",
    "learning_rate": 0.1,
    "num_train_epochs": 2,
    "gradient_accumulation_steps": 2,
}
# Whole batches, because transformers fills up a short last one; the last step of an epoch has
# one micro-batch instead of two.
ROWS = 20


def losses(trainer: Any) -> list[float]:
    return [row["loss"] for row in trainer.state.log_history if "loss" in row]


def trained(folder: Path, **more: Any) -> dict[str, Any]:
    args = arguments(folder, **PARITY, **more)
    trainer = FineTuner(tiny_model(), args, data_collator=pad, train_dataset=ragged_dataset(ROWS))
    trainer.train()
    held = {name: tensor.flatten().tolist() for name, tensor in weights(trainer.model).items()}
    return {"losses": losses(trainer), "weights": held}


def balanced(folder: Path) -> dict[str, Any]:
    """Train a mixture of experts for a step of four examples that are alike, two to a pass."""
    row = {"input_ids": [5, 9, 17, 33, 4, 8], "labels": [-100, 9, 17, 33, 4, 8]}
    args = arguments(folder, **PARITY | {"gradient_accumulation_steps": 1}, max_steps=1)
    trainer = FineTuner(
        tiny_experts(),
        args,
        data_collator=Collator(0),
        train_dataset=Rows([row] * 4),
        layout=Layout(0, batch_size=4, examples=2),
    )
    trainer.train()
    held = {name: tensor.flatten().tolist() for name, tensor in weights(trainer.model).items()}
    return {"losses": losses(trainer), "weights": held}


def shared(rank: int, lora: bool) -> dict[str, Any]:
    """Give other weights to two models, of which process 0 alone has them."""
    from peft import LoraConfig, get_peft_model, get_peft_model_state_dict

    model: Any = tiny_model(seed=rank)
    if lora:
        torch.manual_seed(rank)
        how = LoraConfig(r=2, target_modules=["q_proj"], task_type="CAUSAL_LM")
        model = get_peft_model(tiny_model(), how)
        given = {name: torch.ones_like(t) for name, t in get_peft_model_state_dict(model).items()}
    else:
        given = tiny_model(seed=7).state_dict()

    def read() -> dict[str, torch.Tensor]:
        if rank:
            raise AssertionError("the first process alone reads them")
        return given

    if not set_weights_of_all(model, rank == 0, read):
        return {}
    held = get_peft_model_state_dict(model) if lora else model.state_dict()
    return {"same": all(bool(torch.equal(held[name], given[name])) for name in given)}


def evaluated(folder: Path, rows: int, size: int, even: bool = True) -> dict[str, float]:
    more = {} if even else {"accelerator_config": {"even_batches": False}}
    args = arguments(folder, per_device_eval_batch_size=size, **more)
    data = ragged_dataset(rows, seed=2)
    trainer = FineTuner(tiny_model(), args, data_collator=pad, eval_dataset=data)
    metrics: dict[str, float] = trainer.evaluate()
    return metrics


def interrupted(folder: Path, rank: int) -> dict[str, Any]:
    """Evaluate 12 batches a process; process 1 alone is told to break off, at its third."""
    polls = 0

    def told() -> bool:
        nonlocal polls
        polls += 1
        return rank == 1 and polls >= 3

    args = arguments(folder, per_device_eval_batch_size=1)
    data = ragged_dataset(24)
    trainer = FineTuner(tiny_model(), args, data_collator=pad, eval_dataset=data, interrupted=told)
    return {"metrics": trainer.evaluate(), "polls": polls}


def poisoned(folder: Path, rank: int) -> dict[str, Any]:
    """Train; at step 3 the loss of process 1, and nothing else, is infinite."""
    model = tiny_model()
    if rank == 1:
        spoil_third_loss(model)
    guard = NonFiniteGuard()
    args = arguments(folder, num_train_epochs=2, per_device_train_batch_size=2)
    data = ragged_dataset(24)
    trainer = FineTuner(model, args, data_collator=pad, train_dataset=data, callbacks=[guard])
    try:
        trainer.train()
    except TrainError as error:
        finite = all(bool(t.isfinite().all()) for t in weights(trainer.model).values())
        return {"message": error.message, "losses": losses(trainer), "finite": finite}
    return {"message": "", "losses": losses(trainer)}


def stopped(folder: Path) -> dict[str, Any]:
    stop = EarlyStop(patience=2, threshold=10.0)
    args = arguments(folder, num_train_epochs=9, eval_strategy="epoch")
    trainer = FineTuner(
        tiny_model(),
        args,
        data_collator=pad,
        train_dataset=ragged_dataset(16),
        eval_dataset=ragged_dataset(5),
        callbacks=[stop],
    )
    trainer.train()
    return {"step": trainer.state.global_step, "reason": stop.reason}


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    found: dict[str, Any] = {"trained": trained(folder, per_device_train_batch_size=2)}
    rank = torch.distributed.get_rank()
    found["evaluated"] = [
        [rows, size, evaluated(folder, rows, size)]
        for rows in (1, 2, 3, 7, 12, 13)
        for size in (1, 2, 5)
    ]
    found["uneven"] = [[rows, 2, evaluated(folder, rows, 2, even=False)] for rows in (5, 7, 12)]
    found["interrupted"] = interrupted(folder, rank)
    found["poisoned"] = poisoned(folder, rank)
    found["stopped"] = stopped(folder)
    found["shared"] = [shared(rank, lora) for lora in (False, True)]
    found["balanced"] = balanced(folder)
    (folder / f"rank{rank}.json").write_text(json.dumps(found), encoding="utf-8")
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
