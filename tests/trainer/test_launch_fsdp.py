"""Runs whose model FSDP2 has cut: killed, stopped, and gone on with in another number of processes."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from made_launches import Done, kill_last_process, launch, settings, terminate
from tiny_runs import losses, model_with_dropout

from ftadvise_trainer.saving.checkpoints import newest_valid, problems, read_manifest

pytestmark = pytest.mark.long

ONE, TWO = ("--max-restarts", "1"), ("--nproc", "2", "--max-restarts", "1")
SPREAD: dict[str, Any] = {
    "sharding": "fsdp",
    "batch_size": 12,
    "per_device_train_batch_size": 4,
    "gradient_accumulation_steps": 1,
}


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a model without dropout, whose masks would depend on the process."""
    folder = tmp_path_factory.mktemp("model")
    path = model_with_dropout(folder) / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | {"attention_dropout": 0.0}))
    return folder


@pytest.fixture(scope="module")
def alone(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The run of one process."""
    folder = tmp_path_factory.mktemp("alone")
    assert run(folder, model, ONE).code == 0
    return folder


def run(
    folder: Path, model: Path, how: tuple[str, ...], then: Callable[[int], None] | None = None
) -> Done:
    """Launch the run in `folder`; `then` is called when its first checkpoint is complete."""
    config = str(settings(folder, model, **SPREAD))
    manifest = folder / "out" / "checkpoint-5" / "MANIFEST.json"
    return launch(*how, config, when=manifest.exists if then else None, then=then)


def assert_same(folder: Path, alone: Path) -> None:
    """The same losses, rates and best model as in one process."""
    for row, other in zip(losses(folder / "out"), losses(alone / "out"), strict=True):
        assert [one is None for one in row] == [one is None for one in other]
        known = [one for one in other if one is not None]
        assert [one for one in row if one is not None] == pytest.approx(known, rel=1e-4)
    assert problems(folder / "out" / "final") == []
    one, two = (read_manifest(path / "out" / "final") for path in (folder, alone))
    assert one is not None
    assert two is not None
    assert one.step == two.step
    assert one.eval_loss == pytest.approx(two.eval_loss, rel=1e-4)
    assert not list((folder / "out").glob(".resume-*"))


def test_a_killed_process_has_all_start_again_to_the_same_end(
    model: Path, alone: Path, tmp_path: Path
) -> None:
    done = run(tmp_path, model, TWO, kill_last_process)
    assert done.code == 0, done.err
    assert "all are started again" in done.err
    assert "cut into one part for each process (fsdp), as set" in done.err
    assert_same(tmp_path, alone)


@pytest.mark.parametrize(("first", "second"), [(TWO, ONE), (ONE, TWO)])
def test_a_run_goes_on_in_another_number_of_processes(
    first: tuple[str, ...], second: tuple[str, ...], model: Path, alone: Path, tmp_path: Path
) -> None:
    assert run(tmp_path, model, first, terminate).code == 143
    newest, skipped = newest_valid(tmp_path / "out")
    assert newest is not None
    assert skipped == []
    assert (newest / "pytorch_model_fsdp.bin").exists() is (first == TWO)
    done = run(tmp_path, model, second)
    assert done.code == 0, done.err
    assert "world_size: " in done.err
    assert_same(tmp_path, alone)
