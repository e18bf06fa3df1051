from __future__ import annotations

import json
import os
import shutil
from pathlib import Path

import pytest
from checkpoint_cases import make_checkpoint, write_files

from ftadvise_trainer.saving.checkpoints import (
    best,
    clear_unfinished,
    listed,
    newest_valid,
    problems,
    protect,
    prune,
    recover,
    set_aside_after,
    settle,
)


def names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def test_the_newest_is_that_of_the_highest_step_not_name_or_time(tmp_path: Path) -> None:
    newest = make_checkpoint(tmp_path, 10)
    older = make_checkpoint(tmp_path, 9)
    os.utime(newest, (0, 0))
    os.utime(older, (2e9, 2e9))
    assert newest_valid(tmp_path) == (newest, [])


def test_what_is_no_checkpoint_is_skipped_with_its_reason(tmp_path: Path) -> None:
    valid = make_checkpoint(tmp_path, 5)
    write_files(tmp_path / "checkpoint-6")
    (tmp_path / "checkpoint-7").mkdir()
    (tmp_path / "checkpoint-8").write_text("a file")
    (tmp_path / "checkpoint-9").symlink_to(valid)
    for name in (
        "checkpoint-",
        "checkpoint-x",
        "checkpoint-07",
        "checkpoint-1e3",
        "checkpoint--1",
    ):
        (tmp_path / name).mkdir()
    (tmp_path / "checkpoint-99999999999999999999").mkdir()
    (tmp_path / "checkpoint-٣").mkdir()
    (tmp_path / os.fsdecode(b"checkpoint-\xff\x1b[2J")).mkdir()
    (tmp_path / "runs").mkdir()
    found, skipped = newest_valid(tmp_path)
    assert found == valid
    reasons = {s.path.name: s.reasons for s in skipped}
    assert reasons["checkpoint-6"] == ("has no manifest: the save did not finish",)
    assert reasons["checkpoint-8"] == ("is not a folder",)
    assert reasons["checkpoint-9"] == ("is a symbolic link",)
    assert reasons["checkpoint-07"] == ("the name has no step number",)
    assert len(reasons) == 12
    assert "runs" not in reasons


def test_a_missing_folder_holds_no_checkpoint(tmp_path: Path) -> None:
    assert newest_valid(tmp_path / "none") == (None, [])
    assert clear_unfinished(tmp_path / "none") == []
    assert listed(tmp_path / "none") == []


def test_the_best_have_the_lowest_finite_losses_and_ties_go_to_the_earlier(tmp_path: Path) -> None:
    for step, loss in ((1, 0.5), (2, float("nan")), (3, 0.3), (4, None), (5, 0.3), (6, 0.9)):
        make_checkpoint(tmp_path, step, loss)
    assert [p.name for p in best(tmp_path, 3)] == ["checkpoint-3", "checkpoint-5", "checkpoint-1"]


def test_prune_keeps_what_it_is_told_and_what_is_not_ours(tmp_path: Path) -> None:
    kept = {make_checkpoint(tmp_path, step) for step in (2, 4)}
    make_checkpoint(tmp_path, 3)
    write_files(tmp_path / "checkpoint-1")  # by transformers alone
    assert prune(tmp_path, kept) == [tmp_path / "checkpoint-3"]
    assert names(tmp_path) == ["checkpoint-1", "checkpoint-2", "checkpoint-4"]


def test_prune_deletes_nothing_unless_one_to_keep_is_there(tmp_path: Path) -> None:
    make_checkpoint(tmp_path, 3)
    assert prune(tmp_path, {tmp_path / "checkpoint-9"}) == []
    assert prune(tmp_path, set()) == []
    assert names(tmp_path) == ["checkpoint-3"]


def test_a_prune_killed_in_the_middle_leaves_no_half_checkpoint(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kept = make_checkpoint(tmp_path, 4)
    make_checkpoint(tmp_path, 3)

    def killed(folder: Path) -> None:
        (folder / "model.safetensors").unlink()
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(shutil, "rmtree", killed)
        with pytest.raises(KeyboardInterrupt):
            prune(tmp_path, {kept})
    assert newest_valid(tmp_path) == (kept, [])
    assert names(tmp_path) == [".trash-checkpoint-3", "checkpoint-4"]
    prune(tmp_path, {kept})
    assert names(tmp_path) == ["checkpoint-4"]


def test_an_unfinished_save_beside_ours_is_deleted(tmp_path: Path) -> None:
    make_checkpoint(tmp_path, 2)
    write_files(tmp_path / "checkpoint-4")
    (cleared,) = clear_unfinished(tmp_path)
    assert cleared.path == tmp_path / "checkpoint-4"
    assert names(tmp_path) == ["checkpoint-2"]


def test_a_complete_checkpoint_of_transformers_alone_is_set_aside_not_deleted(
    tmp_path: Path,
) -> None:
    write_files(tmp_path / "checkpoint-4")
    (write_files(tmp_path / "checkpoint-6") / "trainer_state.json").unlink()  # surely unfinished
    clear_unfinished(tmp_path)
    assert names(tmp_path) == ["set-aside-checkpoint-4"]


def test_a_damaged_checkpoint_and_a_link_are_set_aside(tmp_path: Path) -> None:
    valid = make_checkpoint(tmp_path, 2)
    (make_checkpoint(tmp_path, 4) / "model.safetensors").write_bytes(b"")
    (tmp_path / "set-aside-checkpoint-4").mkdir()
    (tmp_path / "checkpoint-5").symlink_to(valid)
    clear_unfinished(tmp_path)
    assert names(tmp_path) == [
        "checkpoint-2",
        "set-aside-checkpoint-4",
        "set-aside-checkpoint-4-2",
        "set-aside-checkpoint-5",
    ]
    assert problems(valid) == []


def test_checkpoints_of_an_abandoned_future_are_set_aside(tmp_path: Path) -> None:
    for step in (2, 4, 6):
        make_checkpoint(tmp_path, step)
    set_aside_after(tmp_path, 2)
    assert names(tmp_path) == [
        "checkpoint-2",
        "set-aside-checkpoint-4",
        "set-aside-checkpoint-6",
    ]


def test_a_step_saved_again_keeps_its_first_checkpoint_until_the_second_is_valid(
    tmp_path: Path,
) -> None:
    make_checkpoint(tmp_path, 4, eval_loss=None)
    protect(tmp_path, 4)
    write_files(tmp_path / "checkpoint-4")
    settle(tmp_path, 4)  # no manifest yet
    assert (tmp_path / ".again-checkpoint-4").exists()
    recover(tmp_path)  # what the next run does after a kill here
    assert newest_valid(tmp_path) == (tmp_path / "checkpoint-4", [])

    protect(tmp_path, 4)
    make_checkpoint(tmp_path, 4, eval_loss=0.5)
    recover(tmp_path)  # after a kill between manifest and settle
    assert names(tmp_path) == ["checkpoint-4"]
    assert json.loads((tmp_path / "checkpoint-4/MANIFEST.json").read_text())["eval_loss"] == 0.5


def test_a_protected_checkpoint_comes_back_when_no_save_follows(tmp_path: Path) -> None:
    make_checkpoint(tmp_path, 4)
    protect(tmp_path, 4)
    settle(tmp_path, 4)
    assert newest_valid(tmp_path) == (tmp_path / "checkpoint-4", [])
    assert names(tmp_path) == ["checkpoint-4"]
