"""One of several gloo processes whose advisors see different things; writes down what it did.

Started by `test_advisor_processes.py`, with the environment that torchrun would give it.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any
from unittest import mock

import torch
from tiny_models import arguments, equal_dataset, pad, tiny_model

from ftadvise.annealing import DecayDecision
from ftadvise.live import Decision
from ftadvise_trainer.auto.schedule import rule_of
from ftadvise_trainer.callbacks import anneal, live_advice
from ftadvise_trainer.callbacks.advisor import AdvisorCallback
from ftadvise_trainer.callbacks.anneal import AnnealOnOnset
from ftadvise_trainer.finetuner import FineTuner


def trained(folder: Path, callback: Any, auto: bool) -> Any:
    """Train eight epochs of two steps, evaluated after each step, and return the trainer."""
    args = arguments(
        folder,
        num_train_epochs=8,
        per_device_train_batch_size=2,
        eval_strategy="steps",
        eval_steps=1,
        learning_rate=1e-3,
    )
    data = equal_dataset(8)
    trainer = FineTuner(
        tiny_model(),
        args,
        data_collator=pad,
        train_dataset=data,
        eval_dataset=data,
        callbacks=[callback],
        auto_schedule=auto,
    )
    trainer.train()
    return trainer


def stopped(folder: Path, here: int | None) -> dict[str, Any]:
    """Train with an advisor that wants to stop at evaluation `here`; -1: it fails, None: never."""

    def should_stop(run: Any, past: Any) -> Decision:
        if here == -1:
            raise ArithmeticError("no idea")
        return Decision(len(run.eval) == here, "made up", 0.5)

    callback = AdvisorCallback(stop=True)
    with mock.patch.object(live_advice, "should_stop", should_stop):
        trainer = trained(folder, callback, auto=False)
    return {"step": trainer.state.global_step, "stopped": callback.reason is not None}


def annealed(folder: Path, here: int | None) -> dict[str, Any]:
    """Train with a held rate whose decay is wanted from evaluation `here` on."""

    def start_decay(run: Any, *args: Any) -> DecayDecision:
        return DecayDecision(here is not None and len(run.eval) >= here, "made up")

    with mock.patch.object(anneal, "start_decay", start_decay):
        trainer = trained(folder, AnnealOnOnset(), auto=True)
    rule = rule_of(trainer.lr_scheduler)
    assert rule is not None
    return {"step": trainer.state.global_step, "start": rule.start}


def main(folder: Path) -> None:
    torch.set_num_threads(1)
    torch.distributed.init_process_group("gloo")
    rank = torch.distributed.get_rank()
    saw = {
        "first wants": stopped(folder, 5 if rank == 0 else None),
        "second wants": stopped(folder, None if rank == 0 else 5),
        "second fails": stopped(folder, 7 if rank == 0 else -1),
        "first fails": stopped(folder, -1 if rank == 0 else 5),
        "first anneals": annealed(folder, 6 if rank == 0 else 3),
        "second anneals": annealed(folder, None if rank == 0 else 3),
    }
    (folder / f"rank-{rank}.json").write_text(json.dumps(saw))
    torch.distributed.destroy_process_group()


if __name__ == "__main__":
    main(Path(sys.argv[1]))
