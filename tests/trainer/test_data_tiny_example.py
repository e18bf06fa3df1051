"""The offline example: its files are what its script writes, and it overfits visibly."""

from __future__ import annotations

import importlib.util
import random
from pathlib import Path
from typing import Any

import pytest

from ftadvise_plugins.qwen import QWEN
from ftadvise_trainer.config import Config, DataConfig, ModelConfig
from ftadvise_trainer.data.collate import Collator
from ftadvise_trainer.data.prepare import prepare
from ftadvise_trainer.models import load_model, load_tokenizer

TINY = Path(__file__).parent.parent.parent / "examples" / "tiny"
CONFIG = Config(
    model=ModelConfig(config="model", tokenizer="model"),
    data=DataConfig(train="train.jsonl", eval="eval.jsonl", max_length=128),
    path=str(TINY / "training.yaml"),
)


def test_the_data_is_what_the_script_writes(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    spec = importlib.util.spec_from_file_location("make_data", TINY / "make_data.py")
    assert spec is not None
    assert spec.loader is not None
    script: Any = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(script)
    monkeypatch.setattr(script, "HERE", tmp_path)
    script.write_data(random.Random(20261122))
    for name in ("train.jsonl", "eval.jsonl"):
        assert (tmp_path / name).read_bytes() == (TINY / name).read_bytes()


def test_nothing_of_the_data_is_lost_and_nothing_held_out_is_trained() -> None:
    made = prepare(CONFIG, load_tokenizer(CONFIG, QWEN), QWEN)
    assert (len(made.train), len(made.eval)) == (120, 120)
    assert made.report.overlap == made.report.train.truncated == 0
    assert not made.report.train.dropped


@pytest.mark.long
def test_the_eval_loss_turns_up_before_the_end(tmp_path: Path) -> None:
    import yaml
    from transformers import Trainer, TrainingArguments

    chosen: dict[str, Any] = yaml.safe_load((TINY / "training.yaml").read_text())["training"]
    tokenizer = load_tokenizer(CONFIG, QWEN)
    made = prepare(CONFIG, tokenizer, QWEN)
    arguments = TrainingArguments(
        str(tmp_path),
        num_train_epochs=chosen["num_train_epochs"],
        per_device_train_batch_size=chosen["per_device_train_batch_size"],
        learning_rate=chosen["learning_rate"],
        warmup_steps=chosen["warmup_ratio"],
        lr_scheduler_type=chosen["lr_scheduler_type"],
        seed=chosen["seed"],
        per_device_eval_batch_size=120,
        eval_strategy="epoch",
        save_strategy="no",
        report_to=[],
        use_cpu=True,
        disable_tqdm=True,
    )
    trainer: Any = Trainer(
        load_model(CONFIG, tokenizer, QWEN),
        arguments,
        data_collator=Collator(tokenizer.pad_token_id),
        train_dataset=made.train,
        eval_dataset=made.eval,
    )
    trainer.train()
    losses = [float(row["eval_loss"]) for row in trainer.state.log_history if "eval_loss" in row]
    best = losses.index(min(losses))
    assert 2 <= best <= len(losses) - 5  # patience 3 fires before the end
    assert losses[-1] > 1.08 * losses[best]
