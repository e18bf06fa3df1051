from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from checkpoint_cases import FILES, make_checkpoint

from ftadvise_trainer.errors import TrainError
from ftadvise_trainer.saving import final
from ftadvise_trainer.saving.checkpoints import problems, read_manifest
from ftadvise_trainer.saving.final import publish

MODEL_FILES = {
    "MANIFEST.json",
    "chat_template.jinja",
    "config.json",
    "generation_config.json",
    "model.safetensors",
    "tokenizer.json",
}


def names(folder: Path) -> set[str]:
    return {path.name for path in folder.iterdir()}


def gives(loss: float) -> Callable[[Path], float]:
    return lambda folder: loss


def test_final_holds_the_model_and_no_optimizer_and_has_a_manifest(tmp_path: Path) -> None:
    best = make_checkpoint(tmp_path, 10, eval_loss=0.5)
    folder = publish(best, tmp_path, lambda path: 0.5)
    assert folder == tmp_path / "final"
    assert names(folder) == MODEL_FILES
    assert problems(folder) == []
    manifest = read_manifest(folder)
    assert manifest is not None
    assert (manifest.step, manifest.eval_loss) == (10, 0.5)
    assert names(tmp_path) == {"checkpoint-10", "final"}


def test_weights_are_shared_with_the_checkpoint_and_small_files_are_not(tmp_path: Path) -> None:
    best = make_checkpoint(tmp_path, 10)
    folder = publish(best, tmp_path)
    assert (folder / "model.safetensors").samefile(best / "model.safetensors")
    assert not (folder / "config.json").samefile(best / "config.json")


def test_weights_are_copied_where_there_are_no_hard_links(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise OSError("no links here")

    monkeypatch.setattr(os, "link", refuse)
    folder = publish(make_checkpoint(tmp_path, 10), tmp_path)
    assert (folder / "model.safetensors").read_bytes() == FILES["model.safetensors"]


def test_a_model_that_does_not_give_the_recorded_loss_does_not_become_final(
    tmp_path: Path,
) -> None:
    publish(make_checkpoint(tmp_path, 5, eval_loss=0.7), tmp_path)
    best = make_checkpoint(tmp_path, 10, eval_loss=0.5)
    for score in (0.5001, float("nan")):
        with pytest.raises(TrainError) as caught:
            publish(best, tmp_path, gives(score))
        assert caught.value.code == "FT510"
        assert names(tmp_path) == {"checkpoint-5", "checkpoint-10", "final", "final-rejected"}
        assert problems(best) == []
        earlier = read_manifest(tmp_path / "final")
        assert earlier is not None
        assert earlier.step == 5


def test_rounding_is_no_reason_to_refuse_it(tmp_path: Path) -> None:
    best = make_checkpoint(tmp_path, 10, eval_loss=0.5)
    assert publish(best, tmp_path, lambda path: 0.50004).exists()


def test_it_is_scored_as_it_will_stand_there(tmp_path: Path) -> None:
    def score(folder: Path) -> float:
        assert problems(folder) == []
        assert names(folder) == MODEL_FILES
        return 0.25

    publish(make_checkpoint(tmp_path, 10), tmp_path, score, recorded=0.25)


@pytest.mark.parametrize("can_exchange", [True, False])
def test_a_new_final_replaces_an_earlier_one(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, can_exchange: bool
) -> None:
    if not can_exchange:
        monkeypatch.setattr(final, "exchange", lambda one, other: False)
    for step in (5, 10):
        folder = publish(make_checkpoint(tmp_path, step), tmp_path)
    manifest = read_manifest(folder)
    assert manifest is not None
    assert manifest.step == 10
    assert names(tmp_path) == {"checkpoint-5", "checkpoint-10", "final"}


def test_folders_change_places_in_one_step_on_linux(tmp_path: Path) -> None:
    (tmp_path / "a/x").mkdir(parents=True)
    (tmp_path / "b/y").mkdir(parents=True)
    if not final.exchange(tmp_path / "a", tmp_path / "b"):
        pytest.skip("the file system cannot exchange names")
    assert (names(tmp_path / "a"), names(tmp_path / "b")) == ({"y"}, {"x"})


def test_a_kill_while_it_takes_its_place_leaves_the_earlier_final(tmp_path: Path) -> None:
    publish(make_checkpoint(tmp_path, 5), tmp_path)
    (tmp_path / "final").rename(tmp_path / ".old-final")  # killed between the two renames
    final.restore(tmp_path)
    assert names(tmp_path) == {"checkpoint-5", "final"}


def test_a_damaged_checkpoint_is_not_published(tmp_path: Path) -> None:
    best = make_checkpoint(tmp_path, 10)
    (best / "model.safetensors").write_bytes(b"")
    with pytest.raises(TrainError) as caught:
        publish(best, tmp_path)
    assert caught.value.code == "FT505"
    assert not (tmp_path / "final").exists()


def test_a_last_touch_is_covered_by_the_manifest(tmp_path: Path) -> None:
    def merge(folder: Path) -> None:
        (folder / "model.safetensors").unlink()
        (folder / "model.safetensors").write_bytes(b"merged")

    best = make_checkpoint(tmp_path, 10)
    folder = publish(best, tmp_path, finish=merge)
    assert (folder / "model.safetensors").read_bytes() == b"merged"
    assert problems(folder) == []
    assert problems(best) == []
