"""What a training leaves behind is as the JSON Schemas in docs/schemas say."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import fields
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import jsonschema  # type: ignore[import-untyped]
import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from ftadvise.history import Prediction
from ftadvise_trainer.auto import record
from ftadvise_trainer.auto.choice import Choice
from ftadvise_trainer.callbacks.metrics import MetricsWriter, strict
from ftadvise_trainer.callbacks.speeds import Speed
from ftadvise_trainer.config import Config, config_hash, to_dict
from ftadvise_trainer.data.report import DataReport
from ftadvise_trainer.saving.manifest import write_manifest

ROOT = Path(__file__).parents[2]
LOGGED: list[dict[str, float]] = [
    {"step": 5, "epoch": 0.5, "loss": 2.0, "learning_rate": 1e-3, "grad_norm": float("nan")},
    {"step": 10, "epoch": 1.0, "loss": 1.5, "num_input_tokens_seen": 640, "mfu": 0.2},
    {"step": 10, "epoch": 1.0, "eval_loss": 1.7},
]


def valid(document: Any, name: str) -> None:
    path = ROOT / "docs" / "schemas" / f"{name}.schema.json"
    schema = json.loads(path.read_text(encoding="utf-8"))
    jsonschema.Draft202012Validator(schema).validate(document)


def test_a_manifest_is_as_its_schema_says(tmp_path: Path) -> None:
    folder = tmp_path / "checkpoint-5"
    folder.mkdir()
    (folder / "model.safetensors").write_bytes(b"weights")
    write_manifest(folder, epoch=1.0, eval_loss=float("nan"), settings={"seed": 1})
    valid(json.loads((folder / "MANIFEST.json").read_text()), "checkpoint-1")


def test_a_choice_is_written_down_as_its_schema_says(tmp_path: Path) -> None:
    why = {"num_train_epochs": "its past run"}
    record.record(tmp_path, Choice({"num_train_epochs": 3}, why, ("chosen",), Prediction(3, 1.0)))
    valid(json.loads((tmp_path / "auto.json").read_text()), "auto-1")


def metrics(**changed: Any) -> Any:
    header = {
        "model": "tiny",
        "data": {"fingerprint": "f", **DataReport().to_dict()},
        "config": to_dict(Config()),
        "config_hash": config_hash(Config()),
        "versions": {"python": "3.11"},
    }
    speed = dict.fromkeys(f.name for f in fields(Speed)) | {
        "steps": 5,
        "device": "cpu",
        "devices": 1,
    }
    kept = [{"path": "out/checkpoint-10", "epoch": 1.0, "eval_loss": 1.7}]
    writer = MetricsWriter("metrics.json", header, (), lambda: kept, speed=lambda: speed)
    state = SimpleNamespace(log_history=LOGGED, max_steps=10, global_step=10, epoch=1.0)
    return strict({**writer.document(state), **changed})


def test_metrics_are_as_their_schema_says_and_no_key_more() -> None:
    valid(metrics(), "metrics-1")
    valid(metrics(best=None, stopped=None, speed=None, history=[]), "metrics-1")
    where = {"reason": "loss not finite", "epoch": 1.0, "step": 10, "policy": "non-finite guard"}
    valid(metrics(stopped=where | {"rows": [3, 4], "batch": ["0" * 16]}), "metrics-1")
    with pytest.raises(jsonschema.ValidationError, match="unheard"):
        valid(metrics(unheard=1), "metrics-1")


@pytest.mark.long
def test_a_whole_training_leaves_files_as_their_schemas_say(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "ftadvise", "train", "--quiet", "--auto"]
    command += ["examples/tiny/training.yaml", "--output-dir", str(tmp_path)]
    command += ["--set", "training.num_train_epochs=2"]
    subprocess.run(command, cwd=ROOT, check=True)
    valid(json.loads((tmp_path / "training_metrics.json").read_text()), "metrics-1")
    valid(json.loads((tmp_path / "auto.json").read_text()), "auto-1")
    manifests = list(tmp_path.rglob("MANIFEST.json"))
    assert manifests
    for path in manifests:
        valid(json.loads(path.read_text()), "checkpoint-1")
