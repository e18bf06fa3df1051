"""What a model, a data set or a folder is called does no harm in training_metrics.json."""

from __future__ import annotations

import json
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from click.testing import CliRunner
from harmless import OBEYED, no_constant
from hostile_strings import OVERLONG, STRINGS
from transformers import TrainerState

import ftadvise
from ftadvise.cli import main
from ftadvise_trainer.callbacks.metrics import MetricsWriter

if TYPE_CHECKING:
    from pathlib import Path

NAMES = [one for one in STRINGS if one != OVERLONG]


def test_names_come_out_as_they_went_in_and_the_log_is_read_harmlessly(tmp_path: Path) -> None:
    header: dict[str, Any] = {
        "model": {"name": NAMES[0], "family": NAMES[24]},
        "data": {"fingerprint": NAMES[40]},
        "config": {name: name for name in NAMES},
    }
    kept = [{"path": name, "epoch": 1.0, "eval_loss": 1.5} for name in NAMES]
    writer = MetricsWriter(
        tmp_path / "training_metrics.json",
        header,
        [SimpleNamespace(reason={"reason": NAMES[1], "policy": NAMES[5]})],
        lambda: kept,
    )
    rows = [{"step": i, "epoch": float(i), "eval_loss": 2.0 / i} for i in range(1, 6)]
    writer.write(TrainerState(log_history=[row | dict.fromkeys(NAMES, 1.0) for row in rows]))
    text = writer.path.read_text()
    found = json.loads(text, parse_constant=no_constant)
    assert text.isascii()
    assert not OBEYED.search(text)
    assert found["config"] == header["config"]
    assert [one["path"] for one in found["checkpoints"]] == NAMES
    assert set(found["history"][0]) <= {
        "step", "epoch", "loss", "eval_loss", "learning_rate", "grad_norm", "tokens",
        "tokens_per_second",
    }  # fmt: skip
    assert ftadvise.read(writer.path).eval.loss.size == len(rows)
    shown = CliRunner().invoke(main, ["analyze", str(writer.path)])
    assert shown.exit_code == 0
    assert not OBEYED.search(shown.stdout + shown.stderr)
