"""`checkpoints/final`: the best model, put there only when it gives the loss it was chosen for."""

from __future__ import annotations

import contextlib
import ctypes
import math
import os
import shutil
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from ftadvise.text import clean
from ftadvise_trainer.errors import TrainError
from ftadvise_trainer.saving.durable import free_name, fsync, remove_folder
from ftadvise_trainer.saving.manifest import problems, read_manifest, write_manifest
from ftadvise_trainer.saving.manifest_files import MANIFEST

if TYPE_CHECKING:
    from collections.abc import Callable

FINAL = "final"
TOLERANCE = 1e-4
"""Relative difference from the recorded eval loss that rounding on another batch may make."""

# The model and what code it brought, its tokenizer and chat template, its generation config;
# neither optimizer nor states.
_KEPT = (".safetensors", ".json", ".jinja", ".txt", ".model", ".md", ".tiktoken", ".py")
_LEFT_OUT = ("trainer_state.json", MANIFEST)
BUILDING = ".building-final"
"""Where the folder is made and scored before it takes its place."""
_OLD, _REJECTED = ".old-final", "final-rejected"


def publish(
    best_checkpoint: Path,
    output_dir: Path,
    load_and_score: Callable[[Path], float] | None = None,
    recorded: float | None = None,
    *,
    finish: Callable[[Path], None] | None = None,
) -> Path:
    """Make `output_dir/final` from a checkpoint and return it.

    It is built beside its place, with a manifest, brought onto the disk, loaded again and scored;
    only then does it change places with an earlier `final`, in one step. A kill at any moment
    leaves the earlier one or the new one. Weights are hard links where the file system has them.

    Args:
        best_checkpoint: A valid checkpoint.
        output_dir: Where `final` goes.
        load_and_score: Loads the model from a folder and returns its eval loss.
        recorded: Eval loss that it must give, to 1e-4 relative; that in the manifest of the
            checkpoint when left out.
        finish: Last touch in the new folder before its manifest is written, such as merging an
            adapter. It must replace files, not write into them: they may be hard links.

    Raises:
        TrainError: FT505 if the checkpoint is not valid; FT510 if the model does not give the
            recorded loss: it is then in `final-rejected`, and an earlier `final` stays.
    """
    best_checkpoint, output_dir = Path(best_checkpoint), Path(output_dir)
    reasons = problems(best_checkpoint)
    manifest = read_manifest(best_checkpoint)
    if reasons or manifest is None:
        raise TrainError(
            f"{clean(best_checkpoint)} is not a valid checkpoint: {'; '.join(reasons[:5])}",
            hint="The final model was not written; an earlier one is untouched.",
            code="FT505",
        )
    restore(output_dir)
    recorded = manifest.eval_loss if recorded is None else recorded
    building = output_dir / BUILDING
    if building.exists():
        remove_folder(building)
    building.mkdir(parents=True)
    for name in manifest.files:
        if name.endswith(_KEPT) and name not in _LEFT_OUT:
            _link_or_copy(best_checkpoint / name, building / name)
    if finish is not None:
        finish(building)
    write_manifest(
        building,
        step=manifest.step,
        epoch=manifest.epoch,
        eval_loss=recorded,
        config_hash=manifest.config_hash,
        settings=manifest.settings,
    )
    if load_and_score is not None and recorded is not None:
        _check_score(building, load_and_score(building), recorded)
    return _put_in_place(building, output_dir)


def restore(output_dir: Path) -> None:
    """Put an earlier `final` back if a kill came while the new one was taking its place."""
    final, old = Path(output_dir) / FINAL, Path(output_dir) / _OLD
    if old.exists() and not final.exists():
        old.rename(final)
        fsync(final.parent)
    elif old.exists():
        remove_folder(old)


def _check_score(building: Path, score: float, recorded: float) -> None:
    if math.isclose(score, recorded, rel_tol=TOLERANCE):
        return
    rejected = building.with_name(_REJECTED)
    if rejected.exists():
        remove_folder(rejected)
    building.rename(rejected)
    raise TrainError(
        f"The final model, loaded again, has an eval loss of {score:.6g} instead of the recorded "
        f"{recorded:.6g}; it is in {clean(rejected)} and has not become final",
        hint="The checkpoint itself is intact. Compare how it is loaded with how it was trained "
        "(precision, tokenizer, attention).",
        code="FT510",
    )


def _link_or_copy(source: Path, target: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    # safetensors writes a new file and renames it, so a shared one is never written into. Small
    # files are copied: people edit them.
    if source.suffix == ".safetensors":
        with contextlib.suppress(OSError):
            os.link(source, target, follow_symlinks=False)
            return
    shutil.copyfile(source, target)


def _put_in_place(building: Path, output_dir: Path) -> Path:
    final, old = output_dir / FINAL, output_dir / _OLD
    if os.path.lexists(final) and (final.is_symlink() or not final.is_dir()):
        final.rename(free_name(output_dir / "set-aside-final"))
    if final.exists():
        if exchange(building, final):
            fsync(output_dir)
            remove_folder(building)
            return final
        final.rename(old)
    building.rename(final)
    fsync(output_dir)
    restore(output_dir)  # deletes the old one, now that the new one is there
    return final


def exchange(one: Path, other: Path) -> bool:
    """Swap two folders in one step; False where the system cannot."""
    if not sys.platform.startswith("linux"):
        return False
    here, swap = -100, 2  # AT_FDCWD, RENAME_EXCHANGE
    try:
        rename = ctypes.CDLL(None, use_errno=True).renameat2
    except (OSError, AttributeError):
        return False
    status: int = rename(here, os.fsencode(one), here, os.fsencode(other), swap)
    return status == 0
