"""FineTuner, set up by the functions that `ftadvise train` itself calls, from the same settings."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from speed_clock import Recorded, StepClock, result
from speed_data import PAD, Example, config_of, model_of

from ftadvise_trainer.arguments import precision, training_arguments
from ftadvise_trainer.bf16.optimizer import optimizer_for
from ftadvise_trainer.callbacks.throughput import Throughput
from ftadvise_trainer.config import Config, ModelConfig, TrainingConfig
from ftadvise_trainer.data.collate import Collator
from ftadvise_trainer.data.tokens import TokenDataset
from ftadvise_trainer.finetuner import FineTuner
from ftadvise_trainer.speed.setting_up import set_up


class RecordedFineTuner(Recorded, FineTuner):
    """FineTuner, watched."""


@dataclass(frozen=True)
class Ours:
    """One way of running ftadvise.

    Attributes:
        dtype: `model.dtype`.
        batch: Examples in an optimizer step.
        packing: `training.packing`.
        compile: `training.compile_blocks`.
        in_order: Whether examples come in the order that they are in, and not shuffled.
        workers: Processes that make batches.
    """

    dtype: str = "float32"
    batch: int = 128
    packing: bool | None = None
    compile: bool | None = None
    in_order: bool = False
    workers: int = 2


def config_for(ours: Ours, shape: str, folder: str) -> Config:
    """Return the settings, as a YAML would give them."""
    file = Path(folder) / "config.json"
    file.write_text(json.dumps(config_of(shape).to_dict()))
    more: dict[str, Any] = {"dataloader_num_workers": ours.workers}
    more |= {"train_sampling_strategy": "sequential"} if ours.in_order else {}
    training = TrainingConfig(
        output_dir=folder,
        num_train_epochs=100,
        lr_scheduler_type="constant",
        warmup_ratio=0.0,
        learning_rate=1e-5,
        batch_size=None if ours.in_order else ours.batch,
        per_device_train_batch_size=ours.batch if ours.in_order else 8,
        packing=ours.packing,
        compile_blocks=ours.compile,
        eval_strategy="no",
        save_strategy="epoch",  # switched off below: nothing of it is to be timed
        load_best_model_at_end=False,
        logging_steps=10,
        seed=0,
        more=more,
    )
    return Config(model=ModelConfig(config=str(file), dtype=ours.dtype), training=training)


def run_ours(
    shape: str, rows: list[Example], clock: StepClock, folder: str, **options: Any
) -> dict[str, Any]:
    """Train as `ftadvise train` does, without evaluating and saving; return what was measured."""
    ours = Ours(**options)
    config = config_for(ours, shape, folder)
    arguments = training_arguments(config)
    arguments.save_strategy = type(arguments.save_strategy)("no")
    model = model_of(shape, getattr(torch, ours.dtype))
    ids = [row["input_ids"] for row in rows]
    dataset = TokenDataset((one, np.ones(len(one), dtype=bool)) for one in ids)
    setup = set_up(config, arguments, model, PAD, dataset)
    throughput = Throughput(fused=setup.head is not None)
    trainer = RecordedFineTuner(
        model=model,
        args=arguments,
        train_dataset=dataset,
        data_collator=Collator(PAD),
        callbacks=[throughput, clock],
        layout=setup.layout,
        head=setup.head,
        optimizer_cls_and_kwargs=optimizer_for(config, model, arguments),
    )
    trainer.train()
    return result(trainer, clock) | {
        "lines": [precision(config).note, *setup.lines],
        "row_tokens": None if setup.layout is None else setup.layout.row_tokens,
        "checkpointing": bool(arguments.gradient_checkpointing),
        "throughput": throughput.summary(),
    }
