"""`ftadvise watch` of a folder with many runs, and of logs that are no states."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from click.testing import CliRunner, Result

from ftadvise.cli import main
from ftadvise.readers.wanted import Wanted
from ftadvise.watching.following import Follower, Look

pytestmark = pytest.mark.usefixtures("at_root")


def ft(*args: str) -> Result:
    return CliRunner().invoke(main, list(args))


def metrics(folder: Path, points: int, loss: float = 1.0, at: float = 1e9) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    rows = [f"{e},{10 * e},{loss + 1 / e},{loss + 1.1 / e},{5.0}" for e in range(1, points + 1)]
    path = folder / "metrics.csv"
    path.write_text("epoch,step,train_loss,val_loss,nll\n" + "\n".join(rows) + "\n")
    os.utime(path, (at, at))
    return path


@pytest.fixture
def versions(tmp_path: Path) -> Path:
    for number in range(3):
        metrics(tmp_path / "lightning_logs" / f"version_{number}", 5, number, 1e9 + 1e4 * number)
    return tmp_path


def settled(follower: Follower) -> Look:
    look = follower.look(0.0)
    return follower.look(0.0) if look.again else look


def test_the_newest_run_of_a_folder_is_followed_wherever_it_lies(versions: Path) -> None:
    follower = Follower(str(versions))
    look = settled(follower)
    assert look.file is not None
    assert look.file.parent.name == "version_2"
    metrics(versions / "lightning_logs" / "version_3", 7, 9.0, 2e9)
    look = settled(follower)
    assert look.fresh
    assert look.run is not None
    assert (len(look.run.eval), look.written) == (7, 2e9)


def test_the_run_of_a_name_is_followed_and_no_newer_one(versions: Path) -> None:
    follower = Follower(str(versions), "version_1")
    assert settled(follower).fresh
    metrics(versions / "lightning_logs" / "version_2", 9, 2.0, 3e9)
    metrics(versions / "lightning_logs" / "version_1", 6, 1.0, 3e9)
    look = settled(follower)
    assert look.run is not None
    assert len(look.run.eval) == 6


def test_the_series_of_a_name_is_followed(versions: Path) -> None:
    look = settled(Follower(str(versions), wanted=Wanted(eval_key="nll")))
    assert look.run is not None
    assert look.run.eval.loss.tolist() == [5.0] * 5


def test_once_shows_the_run_that_was_asked_for(versions: Path) -> None:
    result = ft("watch", str(versions), "--once", "--run", "version_0", "--format", "jsonl")
    assert result.exit_code == 0, result.stderr
    told = json.loads(result.stdout.splitlines()[-1])
    assert told["eval_loss"] == pytest.approx(1.1 / 5)
    assert ft("watch", str(versions), "--once", "--run", "version_9").exit_code == 2


def test_the_standard_input_is_not_watched() -> None:
    result = ft("watch", "-")
    assert (result.exit_code, "cannot be watched" in result.stderr) == (2, True)
