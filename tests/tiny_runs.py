"""A fine-tune of a few seconds for the tests of resuming, and what it leaves behind.

Its model has dropout, so that a random number drawn too often or not often enough shows in the
weights.
"""

from __future__ import annotations

import hashlib
import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

from ftadvise_trainer.config import Config
from ftadvise_trainer.settings.file import load_config

TINY = Path(__file__).parent.parent / "examples" / "tiny"
STEPS = 40  # 4 epochs of 10 optimizer steps of 2 x 6 examples
DROPOUT = 0.1


def config(folder: Path, workers: int = 0, **training: Any) -> Config:
    """Return the settings of a run in `folder` that evaluates and saves every fifth step."""
    loaded = load_config(TINY / "training.yaml", [f"training.output_dir={folder}"])
    settings = replace(
        loaded.training,
        num_train_epochs=4.0,
        per_device_train_batch_size=6,
        gradient_accumulation_steps=2,
        eval_strategy="steps",
        eval_steps=5,
        save_strategy="steps",
        save_steps=5,
        logging_steps=1,
        early_stopping_patience=None,
        more={"dataloader_num_workers": workers},
    )
    return replace(
        loaded,
        model=replace(loaded.model, config=str(model_with_dropout(folder))),
        training=replace(settings, **training),
    )


def model_with_dropout(folder: Path) -> Path:
    """Put the model of the example, with dropout, into `folder` and return its path."""
    folder = folder / "model"
    if not folder.exists():
        shutil.copytree(TINY / "model", folder)
        path = folder / "config.json"
        settings = json.loads(path.read_text())
        path.write_text(json.dumps(settings | {"attention_dropout": DROPOUT}))
    return folder


def weights(folder: Path) -> str:
    """Return a digest of the final weights."""
    return hashlib.sha256((folder / "final" / "model.safetensors").read_bytes()).hexdigest()


def losses(folder: Path) -> list[tuple[Any, ...]]:
    """Return what was logged, without the times."""
    history = json.loads((folder / "training_metrics.json").read_text())["history"]
    keys = ("step", "epoch", "loss", "eval_loss", "learning_rate", "grad_norm")
    return [tuple(row.get(key) for key in keys) for row in history]
