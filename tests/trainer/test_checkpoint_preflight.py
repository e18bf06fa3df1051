from __future__ import annotations

import errno
import os
import shutil
import tempfile
from pathlib import Path
from typing import NamedTuple

import pytest
import torch
from checkpoint_cases import make_checkpoint
from safetensors.torch import save_file

from ftadvise_trainer.config import Config, ModelConfig, TrainingConfig
from ftadvise_trainer.errors import TrainError
from ftadvise_trainer.saving import preflight
from ftadvise_trainer.saving.preflight import (
    check_disk,
    checkpoint_bytes,
    disk_errors,
    estimate_checkpoint_bytes,
)


class Usage(NamedTuple):
    total: int
    used: int
    free: int


def test_a_full_fine_tune_takes_weights_and_two_moments() -> None:
    extra = estimate_checkpoint_bytes(0, 0)
    assert estimate_checkpoint_bytes(10**9, 10**9) - extra == 12 * 10**9
    assert estimate_checkpoint_bytes(10**9, 10**9, "bfloat16") - extra == 6 * 10**9
    assert estimate_checkpoint_bytes(10**9, 10**6, adapter=True) - extra == 12 * 10**6


def test_a_model_that_is_cut_has_its_weights_twice_and_kahan_sums_two_bytes_more_a_weight() -> (
    None
):
    extra = estimate_checkpoint_bytes(0, 0)
    assert estimate_checkpoint_bytes(10**9, 10**9, cut=True) - extra == 16 * 10**9
    assert estimate_checkpoint_bytes(10**9, 10**9, "bfloat16", kahan=True) - extra == 8 * 10**9


@pytest.mark.parametrize(
    ("dtype", "updates", "cut", "widened", "wanted"),
    [
        ("float32", "kahan", False, False, 12),
        ("bfloat16", "stochastic", False, False, 6),
        ("bfloat16", "kahan", False, False, 8),
        ("bfloat16", "kahan", True, False, 10),
        ("bfloat16", "kahan", True, True, 16),
    ],
)
def test_a_checkpoint_of_a_run_is_counted_in_the_type_that_its_weights_have(
    dtype: str, updates: str, cut: bool, widened: bool, wanted: int
) -> None:
    config = Config(model=ModelConfig(dtype=dtype), training=TrainingConfig(bf16_updates=updates))
    found = checkpoint_bytes(config, 10**9, 10**9, cut=cut, widened=widened)
    assert found - estimate_checkpoint_bytes(0, 0) == wanted * 10**9


def test_the_estimate_is_close_to_what_transformers_writes(tmp_path: Path) -> None:
    model = torch.nn.Linear(300, 300)
    optimizer = torch.optim.AdamW(model.parameters())
    model(torch.ones(300)).sum().backward()
    optimizer.step()
    torch.save(optimizer.state_dict(), tmp_path / "optimizer.pt")
    save_file(model.state_dict(), tmp_path / "model.safetensors")
    written = sum(path.stat().st_size for path in tmp_path.iterdir())
    count = sum(p.numel() for p in model.parameters())
    estimate = estimate_checkpoint_bytes(count, count) - estimate_checkpoint_bytes(0, 0)
    assert estimate == pytest.approx(written, rel=0.02)


def test_a_disk_without_room_is_refused_with_the_bytes_needed_and_free(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda _: Usage(10**9, 0, 2_999))
    with pytest.raises(TrainError) as caught:
        check_disk(tmp_path / "new", 1_000, copies=3)
    assert (caught.value.code, caught.value.exit_code) == ("FT504", 3)
    assert "3000 bytes needed" in str(caught.value)
    assert "2999 bytes free" in str(caught.value)
    check_disk(tmp_path / "new", 1_000, copies=2)


def test_a_folder_that_cannot_be_written_is_refused_before_the_first_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*args: object, **kwargs: object) -> None:
        raise OSError(errno.EROFS, os.strerror(errno.EROFS))

    monkeypatch.setattr(tempfile, "TemporaryFile", refuse)
    with pytest.raises(TrainError, match="Read-only file system") as caught:
        check_disk(tmp_path, 1, 1)
    assert caught.value.exit_code == 3


@pytest.mark.parametrize("number", [errno.ENOSPC, errno.EIO, errno.EROFS, errno.EDQUOT])
def test_a_failing_disk_becomes_an_error_that_names_the_last_good_checkpoint(
    tmp_path: Path, number: int
) -> None:
    make_checkpoint(tmp_path, 12)
    with pytest.raises(TrainError) as caught, disk_errors(tmp_path):
        raise OSError(number, os.strerror(number))
    assert caught.value.exit_code == 3
    assert os.strerror(number) in str(caught.value)
    assert "checkpoint-12" in caught.value.hint


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_the_words_of_torch_for_a_full_disk_are_understood(tmp_path: Path) -> None:
    with pytest.raises(TrainError) as caught, disk_errors(tmp_path):
        torch.save({"a": torch.zeros(100_000)}, "/dev/full")
    assert caught.value.exit_code == 3
    # Seen where the disk filled up at the very end of the file.
    assert preflight.disk_trouble(RuntimeError("basic_ios::clear: iostream error"))


def test_the_words_of_safetensors_for_a_missing_right_are_understood(tmp_path: Path) -> None:
    target = tmp_path / "model.safetensors"
    target.mkdir()  # root may write anywhere; but a folder is no file
    with pytest.raises(Exception) as caught, disk_errors(tmp_path):  # noqa: PT011
        save_file({"a": torch.zeros(3)}, target)
    assert "os error" in str(caught.value)  # the pattern that is looked for
    error = type(caught.value)("I/O error: No space left on device (os error 28)")
    assert preflight.disk_trouble(error) == "No space left on device"


def test_other_errors_pass_unchanged(tmp_path: Path) -> None:
    for error in (ValueError("x"), FileNotFoundError(errno.ENOENT, "x"), RuntimeError("CUDA")):
        with pytest.raises(type(error)) as caught, disk_errors(tmp_path):
            raise error
        assert caught.value is error
