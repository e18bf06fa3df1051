"""`train --auto` in two processes, killed and started again, ends as if nothing had happened."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from forked import PATHS

pytest.importorskip("torch")
pytest.importorskip("transformers")

from tiny_runs import TINY, losses, model_with_dropout, weights

from ftadvise import history
from ftadvise.annealing import DECAY_EPOCHS
from ftadvise_trainer.auto.next_run import FILE

pytestmark = pytest.mark.long

SCRIPT = Path(__file__).with_name("auto_ranks.py")
PEAK = 3e-3
DECAY = round(10 * DECAY_EPOCHS)  # 10 steps in an epoch


def train(folder: Path, of: Path | None = None, **kill: Any) -> subprocess.CompletedProcess[str]:
    """Start the command in `folder`, where all that it makes lies, with the model of `of`."""
    folder.mkdir(exist_ok=True)
    model = str(model_with_dropout(of or folder))
    training = {
        "output_dir": str(folder / "out"),
        "per_device_train_batch_size": 3,
        "gradient_accumulation_steps": 2,
        "learning_rate": PEAK,
        "weight_decay": 0.0,
        "logging_steps": 1,
        "seed": 42,
    }
    data = {"train": str(TINY / "train.jsonl"), "eval": str(TINY / "eval.jsonl")}
    config = {
        "model": {"config": model, "tokenizer": model},
        "data": {**data, "max_length": 128},
        "training": training,
    }
    (folder / "training.yaml").write_text(json.dumps(config))
    (folder / "kill.json").unlink(missing_ok=True)
    if kill:
        (folder / "kill.json").write_text(json.dumps(kill))
    command = [sys.executable, "-m", "torch.distributed.run", "--standalone"]
    command += ["--nproc-per-node", "2", str(SCRIPT), str(folder)]
    environment = os.environ | {
        "PYTHONPATH": os.pathsep.join(PATHS),
        "FTADVISE_HISTORY": str(folder / "history.sqlite3"),
        "CUDA_VISIBLE_DEVICES": "",
    }
    return subprocess.run(
        [*command, "train", "--auto", str(folder / "training.yaml")],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


def ranks(folder: Path) -> list[dict[str, Any]]:
    """Return what each rank ended with."""
    return [json.loads((folder / f"rank-{rank}.json").read_text()) for rank in range(2)]


def runs_in(folder: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.setenv("FTADVISE_HISTORY", str(folder / "history.sqlite3"))
    return history.runs()


@pytest.fixture(scope="module")
def whole(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two processes that nobody has broken off."""
    folder = tmp_path_factory.mktemp("whole")
    done = train(folder)
    assert done.returncode == 0, done.stderr[-3000:]
    return folder


@pytest.fixture(scope="module")
def began(whole: Path) -> int:
    """The step at which its decay began."""
    rates: dict[int, float] = {row[0]: row[4] for row in losses(whole / "out")}
    return max(step for step, rate in rates.items() if rate == PEAK) - 1


def test_two_processes_end_by_themselves_and_are_one_run(
    whole: Path, began: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    document = json.loads((whole / "out" / "training_metrics.json").read_text())
    assert document["stopped"]["policy"] == "anneal on onset"
    assert document["stopped"]["step"] == began + DECAY < 100
    first, second = ranks(whole)
    assert first == second
    assert (first["began"], first["step"]) == (began, began + DECAY)
    assert len(runs_in(whole, monkeypatch)) == 1


# Before the first checkpoint, in the hold, in and after the evaluation that decides, in the decay,
# in a save, and when all is trained; steps from where the decay began.
@pytest.mark.parametrize(
    ("who", "event", "after"),
    [
        ("all", "step", None),
        ("all", "substep", -8),
        ("1", "step", -6),
        ("all", "prediction", 0),
        ("0", "evaluate", 0),
        ("all", "save", 0),
        ("all", "before write_manifest", 0),
        ("1", "substep", 3),
        ("0", "step", 6),
        ("all", "evaluate", DECAY),
        ("0", "save", DECAY),
        ("0", "before remember", 0),
        ("all", "after remember", 0),
    ],
)
def test_two_processes_that_are_killed_go_on_and_end_with_the_same_weights_and_losses(
    who: str,
    event: str,
    after: int | None,
    whole: Path,
    began: int,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    step = 2 if after is None else 0 if event.endswith("remember") else began + after
    broken = train(tmp_path, who=who, event=event, step=step)
    assert broken.returncode != 0
    chosen = json.loads((tmp_path / "out" / FILE).read_text())
    done = train(tmp_path)
    assert done.returncode == 0, done.stderr[-3000:]
    again = json.loads((tmp_path / "out" / FILE).read_text())
    assert again["settings"] == chosen["settings"]
    assert_equal(tmp_path, whole, "out")
    if not event.endswith("remember"):
        one, other = ranks(tmp_path)
        assert one == other
        assert all(one[key] == ranks(whole)[0][key] for key in ("began", "weights"))
    assert not (tmp_path / "out" / "run-2").exists()
    assert len(runs_in(tmp_path, monkeypatch)) == 1


def assert_equal(one: Path, other: Path, output: str) -> None:
    assert losses(one / output) == losses(other / output)
    assert weights(one / output) == weights(other / output)


def second(whole: Path, folder: Path, **kill: Any) -> subprocess.CompletedProcess[str]:
    """Start the next run, which is advised by the first, in a copy of its folder."""
    shutil.copytree(whole, folder)
    return train(folder, whole, **kill)


def test_a_second_run_that_is_killed_keeps_the_settings_that_the_first_has_advised(
    whole: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    done = second(whole, tmp_path / "unbroken")
    assert done.returncode == 0, done.stderr[-3000:]
    killed = tmp_path / "killed"
    assert second(whole, killed, who="all", event="step", step=13).returncode != 0
    chosen = json.loads((killed / "out" / "run-2" / FILE).read_text())
    assert chosen["prediction"] is not None
    monkeypatch.setenv("FTADVISE_HISTORY", str(killed / "history.sqlite3"))
    history.forget(1)  # another past by now: without this run, nothing would be advised
    (killed / "out" / "training_metrics.json").unlink()
    done = train(killed, whole)
    assert done.returncode == 0, done.stderr[-3000:]
    again = json.loads((killed / "out" / "run-2" / FILE).read_text())
    assert again["settings"] == chosen["settings"]
    assert again["closed"] is True
    assert_equal(killed, tmp_path / "unbroken", "out/run-2")
    assert ranks(killed) == ranks(tmp_path / "unbroken")
    assert not (killed / "out" / "run-3").exists()
    (remembered,) = runs_in(killed, monkeypatch)
    assert remembered.prediction is not None
