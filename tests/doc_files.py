"""The files that the pages speak of: logs, folders of runs and a YAML, under the names used there."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

from doc_blocks import ROOT

CHAT = ROOT / "examples" / "chat" / "trainer_state.json"
QWEN = ROOT / "examples" / "qwen" / "training_metrics.json"
STATES = (
    "trainer_state.json",
    "LOG",
    "outputs/run-7/trainer_state.json",
    "outputs/2e-5/trainer_state.json",
    "outputs/checkpoint-500/trainer_state.json",
    "sweeps/2e-5/trainer_state.json",
    "first/trainer_state.json",
)
METRICS = ("training_metrics.json", "sweeps/1e-5/training_metrics.json")
PRINTED = ("training.log", "nohup.out", "train.log", "run/nohup.out")
SSH = '#!/bin/sh\nshift\nexec sh -c "$*"\n'
"""Stands in for ssh: runs the command here."""

YAML = """\
model: {config: examples/tiny/model, tokenizer: examples/tiny/model}
data: {train: examples/tiny/train.jsonl}
training:
  output_dir: checkpoints
  num_train_epochs: 9
"""


def make_files(folder: Path) -> None:
    """Write all of them into a folder, the examples of the repository among them."""
    shutil.copytree(ROOT / "examples", folder / "examples")
    state = json.loads(CHAT.read_text(encoding="utf-8"))
    rows: list[dict[str, Any]] = state["log_history"]
    for number, name in enumerate(STATES):
        write(folder / name, json.dumps(state | {"log_history": scaled(rows, 1 + number / 50)}))
    for name in METRICS:
        write(folder / name, QWEN.read_text(encoding="utf-8"))
    for name in PRINTED:
        write(folder / name, "\n".join(str(row) for row in rows) + "\n")
    write(folder / "second" / "trainer_state.json", json.dumps(state | {"log_history": rows[:40]}))
    for name, end in (("a", 40), ("b", 50)):
        write(folder / "runs" / f"{name}.json", json.dumps(state | {"log_history": rows[:end]}))
    evals = [row for row in rows if "eval_loss" in row]
    table = [f"{row['epoch']},{row['step']},{row['eval_loss']}" for row in evals]
    write(folder / "lightning_logs/version_0/metrics.csv", lines("epoch,step,val_loss", *table))
    keras = [f"{n},{1.9 - n / 10},{row['eval_loss']}" for n, row in enumerate(evals)]
    write(folder / "log.csv", lines("epoch,loss,val_loss", *keras))
    write(folder / "training.yaml", YAML)
    write(folder / "train.jsonl", (folder / "examples/tiny/train.jsonl").read_text("utf-8"))
    write(folder / "programs" / "ssh", SSH)
    (folder / "programs" / "ssh").chmod(0o755)


def scaled(rows: list[dict[str, Any]], factor: float) -> list[dict[str, Any]]:
    """Return rows with other losses, so that they are another run."""
    losses = ("loss", "eval_loss")
    return [row | {key: row[key] * factor for key in losses if key in row} for row in rows]


def write(path: Path, text: str) -> None:
    """Write a file, its folder included."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def lines(*given: str) -> str:
    """Return lines as text."""
    return "\n".join(given) + "\n"
