"""Lost games and lost money stand in logs under the name of a loss."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

import pytest

from ftadvise.errors import LogError
from ftadvise.readers import read

if TYPE_CHECKING:
    from pathlib import Path


def written(folder: Path, value: Any) -> Path:
    path = folder / "history.json"
    path.write_text(json.dumps(value))
    return path


@pytest.mark.parametrize(
    "value",
    [
        {"wins": [3, 4, 5], "losses": [7, 6, 5], "draws": [0, 0, 0]},
        [{"episode": e, "win": e, "loss": 10 - e, "reward": 0.5} for e in range(4)],
        [{"day": d, "profit": 0.5 * d, "loss": 2.5} for d in range(4)],
        {"season": {"wins": [3, 4, 5], "losses": [7, 6, 5]}},
    ],
)
def test_they_are_no_history_of_a_training(tmp_path: Path, value: Any) -> None:
    with pytest.raises(LogError) as caught:
        read(written(tmp_path, value))
    assert caught.value.code == "FT406"


def test_a_loss_logged_beside_games_is_one(tmp_path: Path) -> None:
    rows = [{"iteration": i, "loss": 2.5 / i, "wins": i, "losses": 9 - i} for i in (1, 2, 4)]
    run = read(written(tmp_path, rows))
    assert (run.train.key, run.train.loss.tolist()) == ("loss", [2.5, 1.25, 0.625])


def test_whole_losses_beside_a_rate_of_wins_stay(tmp_path: Path) -> None:
    rows = [{"step": i, "train_loss": 8 - i, "win_rate": 0.5} for i in range(3)]
    assert read(written(tmp_path, rows)).train.loss.tolist() == [8, 7, 6]


def test_what_is_asked_for_by_name_is_taken(tmp_path: Path) -> None:
    path = written(tmp_path, {"wins": [3, 4, 5], "losses": [7, 6, 5]})
    assert read(path, key="losses").train.loss.tolist() == [7, 6, 5]
