"""Room on the disk: asked for before the first step, and told apart when it runs out after all."""

from __future__ import annotations

import contextlib
import errno
import os
import re
import shutil
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from ftadvise.text import clean
from ftadvise_trainer.bf16 import weight_types
from ftadvise_trainer.errors import TrainError
from ftadvise_trainer.saving.checkpoints import listed

if TYPE_CHECKING:
    from collections.abc import Generator

    from ftadvise_trainer.config import Config

BYTES = {"float32": 4, "bfloat16": 2, "float16": 2, "float64": 8}

_OVERHEAD = 16 * 2**20  # bytes; tokenizer, states and logs beside the tensors
_DISK = {errno.ENOSPC, errno.EDQUOT, errno.EIO, errno.EROFS, errno.EACCES, errno.EPERM}
_OS_ERROR = re.compile(r"\(os error (\d+)\)")  # how safetensors, written in Rust, words an OSError
# torch.save says no more than that; the disk is the usual reason for it.
_TORCH_WRITE = re.compile(r"PytorchStreamWriter|inline_container|file write failed|iostream error")


def checkpoint_bytes(
    config: Config, parameters: int, trainable: int, *, cut: bool = False, widened: bool = False
) -> int:
    """Return about how many bytes one checkpoint of a run takes.

    Args:
        config: The settings.
        parameters: Number of parameters of the model.
        trainable: How many of them are trained.
        cut: Whether FSDP holds the model.
        widened: Whether its bfloat16 weights become float32.
    """
    return estimate_checkpoint_bytes(
        parameters,
        trainable,
        "float32" if widened else config.model.dtype,
        adapter=config.lora is not None,
        cut=cut,
        kahan=weight_types.kahan(config) and not widened,
    )


def estimate_checkpoint_bytes(
    parameters: int,
    trainable: int,
    dtype: str = "float32",
    *,
    adapter: bool = False,
    cut: bool = False,
    kahan: bool = False,
) -> int:
    """Return about how many bytes one checkpoint takes: weights and the two moments of Adam.

    Args:
        parameters: Number of parameters of the model.
        trainable: How many of them are trained; each has two moments of the same type.
        dtype: Type of the weights.
        adapter: Whether only the trained ones are saved (LoRA).
        cut: Whether FSDP holds the model: its checkpoints have the weights twice.
        kahan: Whether the optimizer keeps what rounding leaves over, as wide as a weight.
    """
    size = BYTES.get(dtype.removeprefix("torch."), 4)
    weights = (trainable if adapter else parameters) * size
    return weights * (2 if cut else 1) + trainable * size * (3 if kahan else 2) + _OVERHEAD


def check_disk(output_dir: Path, checkpoint_bytes: int, copies: int) -> None:
    """Refuse to start when `copies` checkpoints do not fit, or nothing can be written at all.

    Args:
        output_dir: Where the checkpoints go; it is created.
        checkpoint_bytes: Of one checkpoint.
        copies: How many will stand there at the same time, less those that are there already. For
            the best k and the newest that is k + 2: the next is complete before one goes.

    Raises:
        TrainError: FT504 with the bytes needed and free.
    """
    output_dir = Path(output_dir)
    with disk_errors(output_dir):
        output_dir.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=output_dir) as probe:
            probe.write(b"\0")
            probe.flush()
            os.fsync(probe.fileno())
        free = shutil.disk_usage(output_dir).free
    needed = checkpoint_bytes * copies
    if free < needed:
        raise TrainError(
            f"The disk of {clean(output_dir)} has no room for {copies} checkpoints: "
            f"{needed} bytes needed ({needed / 1e9:.1f} GB), {free} bytes free ({free / 1e9:.1f} GB)",
            hint="Free some room, choose another training.output_dir, or lower save_total_limit.",
            code="FT504",
        )


@contextlib.contextmanager
def disk_errors(output_dir: Path) -> Generator[None]:
    """Turn a full, broken or read-only disk into a `TrainError` with exit status 3.

    Goes around `trainer.train()`: OSError, and what safetensors and torch.save make of it.

    Raises:
        TrainError: FT504, with the bytes free and the checkpoint that a resume would take.
    """
    try:
        yield
    except Exception as error:
        what = disk_trouble(error)
        if what is None:
            raise
        raise TrainError(
            f"The disk failed: {what}, in {clean(output_dir)}{_free(output_dir)}",
            hint=_last_good(output_dir),
            code="FT504",
        ) from error


def disk_trouble(error: BaseException) -> str | None:
    """Return what the disk said if `error` comes from it, else None."""
    if isinstance(error, TrainError):
        return None
    if isinstance(error, OSError):
        return os.strerror(error.errno) if error.errno in _DISK else None
    text = str(error)
    match = _OS_ERROR.search(text)
    if match:
        number = int(match[1])
        return os.strerror(number) if number in _DISK else None
    if isinstance(error, RuntimeError) and _TORCH_WRITE.search(text):
        return "a torch file could not be written"
    return None


def _free(output_dir: Path) -> str:
    try:
        return f" ({shutil.disk_usage(output_dir).free} bytes free)"
    except OSError:
        return ""


def _last_good(output_dir: Path) -> str:
    try:
        found = listed(output_dir)
    except OSError:
        found = []
    if not found:
        return "No checkpoint had been saved. Make room, or choose another training.output_dir."
    return f"Make room and start again: the run goes on from {clean(found[-1][0].name)}."
