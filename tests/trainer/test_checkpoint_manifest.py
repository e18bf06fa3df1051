from __future__ import annotations

import json
import os
import random
from pathlib import Path

import pytest
from checkpoint_cases import FILES, make_checkpoint, write_files
from hypothesis import given, settings
from hypothesis import strategies as st

from ftadvise_trainer.saving import manifest as manifest_module
from ftadvise_trainer.saving import manifest_files
from ftadvise_trainer.saving.checkpoints import (
    newest_valid,
    problems,
    read_manifest,
    write_manifest,
)
from ftadvise_trainer.saving.manifest_files import MANIFEST

ALL_FILES = [*FILES, MANIFEST]


def test_a_checkpoint_is_valid_once_its_manifest_is_written(tmp_path: Path) -> None:
    folder = write_files(tmp_path / "checkpoint-7")
    assert problems(folder) == ["has no manifest: the save did not finish"]
    write_manifest(folder, epoch=0.5, eval_loss=1.25, config_hash="ab", settings={"lr": 1e-5})
    assert problems(folder) == []


def test_the_manifest_says_step_epoch_loss_settings_and_every_file(tmp_path: Path) -> None:
    folder = write_files(tmp_path / "checkpoint-7")
    write_manifest(
        folder, epoch=0.5, eval_loss=1.25, config_hash="ab", settings={"a": {"b": (1,)}}
    )
    given = json.loads((folder / MANIFEST).read_text())
    assert given["schema"] == "ftadvise.checkpoint/1"
    assert (given["step"], given["epoch"], given["eval_loss"]) == (7, 0.5, 1.25)
    assert (given["config_hash"], given["settings"]) == ("ab", {"a": {"b": [1]}})
    assert {name: entry["size"] for name, entry in given["files"].items()} == {
        name: len(content) for name, content in FILES.items()
    }


@pytest.mark.parametrize("name", ALL_FILES)
def test_a_file_cut_anywhere_is_found_and_the_older_checkpoint_taken(
    tmp_path: Path, name: str
) -> None:
    older = make_checkpoint(tmp_path, 5)
    folder = make_checkpoint(tmp_path, 10)
    content = (folder / name).read_bytes()
    for size in {0, 1, len(content) // 2, len(content) - 1}:
        (folder / name).write_bytes(content[:size])
        found, skipped = newest_valid(tmp_path)
        assert found == older, size
        assert [s.path for s in skipped] == [folder]
        assert name in skipped[0].reasons[0]
    (folder / name).write_bytes(content)
    assert newest_valid(tmp_path) == (folder, [])


@pytest.mark.parametrize("name", ALL_FILES)
def test_every_flipped_bit_is_found(tmp_path: Path, name: str) -> None:
    folder = make_checkpoint(tmp_path, 10, eval_loss=0.12345)
    content = bytearray((folder / name).read_bytes())
    draw = random.Random(name)
    for bit in draw.sample(range(8 * len(content)), 50):
        content[bit // 8] ^= 1 << bit % 8
        (folder / name).write_bytes(content)
        assert problems(folder), bit
        content[bit // 8] ^= 1 << bit % 8


@pytest.mark.parametrize("name", ALL_FILES)
def test_a_lost_file_is_found(tmp_path: Path, name: str) -> None:
    folder = make_checkpoint(tmp_path, 10)
    (folder / name).unlink()
    assert problems(folder)


@pytest.mark.parametrize("name", ["pytorch_model.bin", "adapter_model.pt", "sub/model.pkl"])
def test_weights_that_are_not_safetensors_are_refused_even_if_listed(
    tmp_path: Path, name: str
) -> None:
    folder = write_files(tmp_path / "checkpoint-7")
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_bytes(b"\x80\x04")
    write_manifest(folder)
    assert problems(folder) == [f"{name}: weights that are not safetensors"]


def test_what_a_loader_might_take_must_be_listed_and_a_note_need_not(tmp_path: Path) -> None:
    folder = make_checkpoint(tmp_path, 7)
    (folder / "notes.txt").write_text("the good one")
    assert problems(folder) == []
    (folder / "model-00001-of-00002.safetensors").write_bytes(b"")
    assert problems(folder) == ["model-00001-of-00002.safetensors: not in the manifest"]


def test_files_in_folders_count_too(tmp_path: Path) -> None:
    folder = write_files(tmp_path / "checkpoint-7")
    (folder / "adapter").mkdir()
    (folder / "adapter" / "adapter_model.safetensors").write_bytes(b"123")
    write_manifest(folder)
    assert problems(folder) == []
    (folder / "adapter" / "adapter_model.safetensors").write_bytes(b"124")
    assert problems(folder) == ["adapter/adapter_model.safetensors: content has changed (SHA-256)"]


def test_a_link_in_a_checkpoint_is_not_followed(tmp_path: Path) -> None:
    folder = make_checkpoint(tmp_path, 7)
    outside = tmp_path / "outside.safetensors"
    (folder / "model.safetensors").rename(outside)
    (folder / "model.safetensors").symlink_to(outside)
    assert "model.safetensors: is a symbolic link" in problems(folder)


def test_a_folder_renamed_to_another_step_is_not_valid(tmp_path: Path) -> None:
    moved = make_checkpoint(tmp_path, 7).rename(tmp_path / "checkpoint-9")
    assert problems(moved) == ["the manifest is that of step 7"]


@pytest.mark.parametrize(
    "text",
    [
        b"",
        b"{}",
        b"[]",
        b"null",
        b"[" * 100_000,
        b'{"schema": "ftadvise.checkpoint/1"}',
        b'{"schema": "ftadvise.checkpoint/1", "step": 7, "files": 3}',
        b'{"schema": "ftadvise.checkpoint/1", "step": "7", "files": {"a": 1}}',
        b'{"schema": "ftadvise.checkpoint/2", "step": 7}',
        b'{"schema": "\x1b[2J", "step": 7}',
        b"\xff\xfe\x00",
        b'{"step": ' + b"9" * 5000 + b"}",
    ],
)
def test_garbage_in_the_manifest_is_a_reason_and_no_error(tmp_path: Path, text: bytes) -> None:
    folder = make_checkpoint(tmp_path, 7)
    (folder / MANIFEST).write_bytes(text)
    (reason,) = problems(folder)
    assert reason.startswith(MANIFEST)
    assert "\x1b" not in reason
    assert read_manifest(folder) is None


def test_names_in_a_manifest_cannot_point_out_of_the_folder(tmp_path: Path) -> None:
    (tmp_path / "secret").write_bytes(b"secret")
    folder = make_checkpoint(tmp_path, 7)
    fields = json.loads((folder / MANIFEST).read_text())
    manifest = manifest_module.Manifest(
        step=7, files={"../secret": fields["files"]["config.json"]}
    )
    (folder / MANIFEST).write_bytes(manifest_module.render(manifest))  # as a forger would
    assert "../secret: missing" in problems(folder)


@given(
    loss=st.floats(),
    value=st.recursive(
        st.none() | st.booleans() | st.floats() | st.integers(-10, 10) | st.text(max_size=5),
        lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner),
        max_leaves=5,
    ),
)
@settings(max_examples=30, deadline=None)
def test_any_settings_and_losses_give_a_valid_manifest_in_strict_json(
    tmp_path_factory: pytest.TempPathFactory, loss: float, value: object
) -> None:
    folder = tmp_path_factory.mktemp("any") / "checkpoint-3"
    folder.mkdir()
    write_manifest(folder, epoch=loss, eval_loss=loss, settings={"value": value})
    assert problems(folder) == []
    json.loads((folder / MANIFEST).read_text(), parse_constant=lambda name: pytest.fail(name))


def test_the_manifest_comes_after_every_file_is_on_the_disk(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    synced: list[str] = []
    real = os.fsync

    def record(handle: int) -> None:
        name = Path(f"/proc/self/fd/{handle}").readlink().name
        synced.append(name)
        assert (folder / MANIFEST).exists() == (f"{MANIFEST}.tmp" in synced[:-1])
        real(handle)

    folder = write_files(tmp_path / "checkpoint-7")
    monkeypatch.setattr(os, "fsync", record)
    write_manifest(folder)
    files = len(FILES)
    assert sorted(synced[:files]) == sorted(FILES)
    assert synced[files:] == ["checkpoint-7", f"{MANIFEST}.tmp", "checkpoint-7", tmp_path.name]


def test_large_files_are_hashed_the_same(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    folder = make_checkpoint(tmp_path, 7)
    monkeypatch.setattr(manifest_files, "_PARALLEL_FROM", 1)
    assert problems(folder) == []
