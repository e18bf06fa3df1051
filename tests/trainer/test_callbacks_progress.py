"""Progress tells a person how the run goes, and nothing but text where there is no terminal."""

from __future__ import annotations

import io
import math
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from tiny_models import arguments, pad, ragged_dataset, tiny_model
from transformers import Trainer, TrainerControl, TrainerState

from ftadvise_trainer.callbacks.early_stop import EarlyStop
from ftadvise_trainer.callbacks.progress import Progress, judged
from ftadvise_trainer.finetuner import FineTuner


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def run(folder: Path, stream: io.StringIO, kind: type[Trainer] = FineTuner, **more: Any) -> None:
    stop = EarlyStop(2, threshold=more.pop("threshold", 0.0))
    kept = [{"path": "out/checkpoint-8", "epoch": 4.0, "eval_loss": 3.5}]
    metrics = folder / "a run" / "training_metrics.json"
    progress = Progress(stream, metrics, [stop], lambda: kept, every=0.0)
    settings = {
        "num_train_epochs": 4,
        "eval_strategy": "epoch",
        "include_num_input_tokens_seen": "non_padding",
    }
    kind(
        tiny_model(),
        arguments(folder, **(settings | more)),
        data_collator=pad,
        train_dataset=ragged_dataset(16),
        eval_dataset=ragged_dataset(5, seed=1),
        callbacks=[stop, progress],
    ).train()


@pytest.mark.parametrize("kind", [FineTuner, Trainer])
def test_without_a_terminal_it_is_lines_without_control_characters(
    tmp_path: Path, kind: type[Trainer]
) -> None:
    run(tmp_path, stream := io.StringIO(), kind)
    text = stream.getvalue()
    assert all(c == "\n" or c.isprintable() for c in text)
    lines = text.splitlines()
    assert len(lines) == 8 + 4 + 4
    assert lines[0].startswith("step 1/8  epoch 0.50  loss 4.1")
    assert "tokens/s" in lines[0]
    assert lines[0].endswith(" left")
    assert " best " in lines[3]
    evals = [line for line in lines if line.startswith("epoch ")]
    assert evals[0].startswith("epoch 1.0  eval loss 4.")
    assert all("  better by " in line for line in evals[1:])
    assert all(line.endswith(" %") for line in evals[1:])
    assert lines[-4] == "stopped: all 8 steps are done"
    assert lines[-3].startswith("best: eval loss 4.")
    assert lines[-3].endswith(" at epoch 4.0")
    assert lines[-2] == "kept: out/checkpoint-8  eval loss 3.5"
    assert lines[-1] == f"ftadvise analyze '{tmp_path / 'a run' / 'training_metrics.json'}'"


def test_it_says_why_the_run_stopped(tmp_path: Path) -> None:
    run(tmp_path, stream := io.StringIO(), threshold=10.0)
    assert "stopped: patience ran out (keras:patience=2,threshold=10)\n" in stream.getvalue()


def test_on_a_terminal_it_is_a_bar_and_the_lines_stand_above_it(tmp_path: Path) -> None:
    run(tmp_path, stream := Terminal())
    text = stream.getvalue()
    assert "\r" in text
    assert "/8 " in text
    assert "tokens/s" in text
    assert text.count("better by") == 3
    assert "stopped: all 8 steps are done\n" in text


def test_a_fine_tuner_prints_no_logs_besides(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    run(tmp_path, io.StringIO())
    assert capsys.readouterr().out == ""


def test_other_processes_say_nothing() -> None:
    stream = Terminal()
    progress, state = Progress(stream), TrainerState(is_world_process_zero=False)
    state.log_history = [{"loss": 1.0, "epoch": 0.5, "step": 1}]
    progress.on_train_begin(None, state, TrainerControl())
    progress.on_log(None, state, TrainerControl(), logs={"loss": 1.0})
    progress.on_evaluate(None, state, TrainerControl(), metrics={"eval_loss": 1.0})
    progress.on_train_end(None, state, TrainerControl())
    assert stream.getvalue() == ""


def test_lines_are_no_closer_than_asked_for() -> None:
    stream, state = io.StringIO(), TrainerState(max_steps=9, global_step=1, epoch=0.1)
    progress = Progress(stream, every=60.0)
    for _ in range(5):
        progress.on_log(None, state, TrainerControl(), logs={"loss": 1.0})
    assert len(stream.getvalue().splitlines()) == 1


BEFORE = {"eval_loss": 2.0, "epoch": 1.0}


@pytest.mark.parametrize(
    ("metrics", "before", "told"),
    [
        ({"eval_loss": 1.234}, None, "eval loss 1.234  the first"),
        ({"eval_loss": 1.984}, BEFORE, "eval loss 1.984  better by 0.8 %"),
        (
            {"eval_loss": 2.024},
            BEFORE,
            "eval loss 2.024  worse by 1.2 % than eval loss 2 at epoch 1.0",
        ),
        ({"eval_loss": 2.0}, BEFORE, "eval loss 2  as good as the best"),
        ({"eval_loss": math.nan}, BEFORE, "eval loss nan  not finite"),
        ({"eval_interrupted": 1.0}, BEFORE, "evaluation broken off"),
        ({"eval_f1": 1.0}, BEFORE, "evaluation without an eval loss"),
    ],
)
def test_an_evaluation_in_words(metrics: dict[str, Any], before: Any, told: str) -> None:
    assert judged(metrics, before) == told
