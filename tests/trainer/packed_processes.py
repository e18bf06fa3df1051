"""One of several gloo processes that trains on packed rows and writes down what it saw.

Started by `test_packed_processes.py`, with the environment that torchrun would give it.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

import torch
from tiny_models import arguments, pad, ragged_dataset, tiny_model, weights

from ftadvise_trainer.config import Config, TrainingConfig
from ftadvise_trainer.data.packing import Layout
from ftadvise_trainer.finetuner import FineTuner
from ftadvise_trainer.processes import sharding

# 33 examples in steps of 8: the last has one, so that the second process has none.
LAYOUTS = {
    "packed": Layout(pad_id=0, row_tokens=30, multiple=4, batch_size=8),
    "padded": Layout(pad_id=0, batch_size=8, examples=3),
}
SGD = {"optim": "sgd", "learning_rate": 0.1, "num_train_epochs": 2}


def trained(folder: Path, layout: Layout | None, rows: int = 33, **more: Any) -> dict[str, Any]:
    args = arguments(
        folder,
        eval_strategy="epoch",
        prediction_loss_only=True,
        include_num_input_tokens_seen="no",
        **(SGD | more),
    )
    trainer = FineTuner(
        tiny_model(),
        args,
        data_collator=pad,
        train_dataset=ragged_dataset(rows),
        eval_dataset=ragged_dataset(7, seed=2),
        layout=layout,
    )
    trainer.train()
    logged = trainer.state.log_history
    held = {
        name: whole(tensor).flatten().tolist() for name, tensor in weights(trainer.model).items()
    }
    return {
        "losses": [row["loss"] for row in logged if "loss" in row],
        "evals": [(row["eval_loss"], row["eval_tokens"]) for row in logged if "eval_loss" in row],
        "tokens": trainer.state.num_input_tokens_seen,
        "weights": held,
    }


def whole(tensor: Any) -> torch.Tensor:
    gathered: torch.Tensor = tensor.full_tensor() if hasattr(tensor, "full_tensor") else tensor
    return gathered


def accumulated(folder: Path, processes: int, **spread: Any) -> dict[str, Any]:
    """Train without `batch_size`, in rows so short that the processes have unlike numbers of them."""
    layout = Layout(pad_id=0, row_tokens=20)
    more = {
        "per_device_train_batch_size": 4 // processes,
        "gradient_accumulation_steps": 2,
    }
    return trained(folder, layout, rows=32, **more, **spread)


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    found = {name: trained(folder, layout) for name, layout in LAYOUTS.items()}
    found["accumulated"] = accumulated(folder, 2)
    spread = sharding.arguments(Config(training=TrainingConfig(sharding="fsdp")))
    found["packed and cut"] = trained(folder, LAYOUTS["packed"], **spread)
    found["accumulated and cut"] = accumulated(folder, 2, **spread)
    rank = torch.distributed.get_rank()
    (folder / f"rank{rank}.json").write_text(json.dumps(found), encoding="utf-8")
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
