"""Which checkpoints there are, which one a resume may take, and which ones go.

Names in an output folder:

* `checkpoint-N`, written by transformers; valid once its manifest is there (`manifest.py`).
* `.again-checkpoint-N`: the valid checkpoint of step N while transformers writes that step again,
  with an evaluation added. `recover` puts it back if that did not finish.
* `set-aside-checkpoint-N`: moved out of the way, never deleted by us.
* `.trash-…`: being deleted.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from ftadvise_trainer.saving.durable import empty_trash, free_name, fsync, remove_folder
from ftadvise_trainer.saving.manifest import (
    Manifest,
    problems,
    read_manifest,
    record_eval_loss,
    write_manifest,
)
from ftadvise_trainer.saving.manifest_files import MANIFEST

if TYPE_CHECKING:
    from collections.abc import Set as AbstractSet

__all__ = [
    "Manifest",
    "Skipped",
    "best",
    "clear_unfinished",
    "listed",
    "newest_valid",
    "problems",
    "protect",
    "prune",
    "read_manifest",
    "record_eval_loss",
    "recover",
    "set_aside_after",
    "settle",
    "write_manifest",
]

_NAME = re.compile(r"checkpoint-(0|[1-9][0-9]{0,17})", re.ASCII)
_AGAIN = ".again-"
_SET_ASIDE = "set-aside-"
_STATE = "trainer_state.json"  # the last file that transformers writes


@dataclass(frozen=True)
class Skipped:
    """A folder that looks like a checkpoint and is none, and why."""

    path: Path
    reasons: tuple[str, ...]


def newest_valid(output_dir: Path) -> tuple[Path | None, list[Skipped]]:
    """Return the checkpoint of the highest step that verifies, and those above it that do not.

    Names that only begin like a checkpoint's are reported, too. Verification reads every byte of
    the candidates from the highest step down to the first valid one. Links are not followed.
    Never raises on what it finds in the folder. Call `recover` first.
    """
    found, skipped = _numbered(Path(output_dir))
    for step in sorted(found, reverse=True):
        reasons = problems(found[step])
        if not reasons:
            return found[step], skipped
        skipped.append(Skipped(found[step], tuple(reasons)))
    return None, skipped


def listed(output_dir: Path) -> list[tuple[Path, Manifest]]:
    """Return the checkpoints that have a manifest, by step; their files are not verified."""
    found, _ = _numbered(Path(output_dir))
    folders = [found[step] for step in sorted(found) if not found[step].is_symlink()]
    pairs = [(path, read_manifest(path)) for path in folders if path.is_dir()]
    return [(path, manifest) for path, manifest in pairs if manifest is not None]


def best(output_dir: Path, k: int = 1) -> list[Path]:
    """Return the `k` checkpoints of lowest finite eval loss, lowest first; ties to the earlier."""
    scored = [
        (manifest.eval_loss, manifest.step, path)
        for path, manifest in listed(output_dir)
        if manifest.eval_loss is not None
    ]
    return [path for _, _, path in sorted(scored)[:k]]


def prune(output_dir: Path, keep: AbstractSet[Path]) -> list[Path]:
    """Delete the checkpoints that are not in `keep`; return where they were.

    Only folders with a manifest are ours to delete. Nothing is deleted unless one of those to keep
    has a manifest. Each is renamed to `.trash-…` first, so that a kill leaves no half checkpoint.
    """
    output_dir = Path(output_dir)
    empty_trash(output_dir)
    names = {Path(path).name for path in keep}
    ours = [path for path, _ in listed(output_dir)]
    if not any(path.name in names for path in ours):
        return []
    removed = [path for path in ours if path.name not in names]
    for path in removed:
        remove_folder(path)
    return removed


def recover(output_dir: Path) -> None:
    """Finish what a killed process left half done: put back, or throw away, `.again-` folders."""
    output_dir = Path(output_dir)
    if not output_dir.is_dir():
        return
    empty_trash(output_dir)
    for old in sorted(output_dir.glob(f"{_AGAIN}checkpoint-*")):
        place = old.with_name(old.name.removeprefix(_AGAIN))
        if not _NAME.fullmatch(place.name) or old.is_symlink() or not old.is_dir():
            continue
        if place.exists() and not problems(place):
            remove_folder(old)
            continue
        if place.exists():
            remove_folder(place)
        old.rename(place)
        fsync(output_dir)


def clear_unfinished(output_dir: Path) -> list[Skipped]:
    """Move what is no valid checkpoint out of the way of the run that will write there again.

    transformers would write into the folder and mix old files with new ones. A save that did not
    finish is deleted: it has no manifest, and either lacks the last file that transformers writes
    or stands beside checkpoints that have a manifest. Everything else is renamed to
    `set-aside-checkpoint-N` and left to its owner: a damaged checkpoint, one that transformers
    wrote without us, a link.

    Returns:
        What was deleted or renamed (the path is the old one), with the reasons.
    """
    output_dir = Path(output_dir)
    recover(output_dir)
    found, _ = _numbered(output_dir)
    ours = any((path / MANIFEST).exists() for path in found.values())
    cleared: list[Skipped] = []
    for step in sorted(found):
        path = found[step]
        reasons = problems(path)
        if not reasons:
            continue
        unsigned = path.is_dir() and not path.is_symlink() and not (path / MANIFEST).exists()
        if unsigned and (ours or not (path / _STATE).exists()):
            remove_folder(path)
        else:
            _set_aside(path)
        cleared.append(Skipped(path, tuple(reasons)))
    return cleared


def set_aside_after(output_dir: Path, step: int) -> list[Path]:
    """Rename the checkpoints above `step`, which a run that goes on from `step` abandons.

    Otherwise a later resume would take them for its own newest. Returns their new places.
    """
    found, _ = _numbered(Path(output_dir))
    return [_set_aside(found[n]) for n in sorted(found) if n > step]


def protect(output_dir: Path, step: int) -> None:
    """Keep the checkpoint of `step`, if it is there, safe while the same step is saved again.

    At the end of an epoch transformers saves a second time into the folder of the last step.
    """
    place = Path(output_dir) / f"checkpoint-{step}"
    if (place / MANIFEST).exists():
        again = place.with_name(_AGAIN + place.name)
        if again.exists():
            remove_folder(again)
        place.rename(again)
        fsync(place.parent)


def settle(output_dir: Path, step: int) -> None:
    """Throw away what `protect` kept, once the step has a manifest again; else put it back."""
    place = Path(output_dir) / f"checkpoint-{step}"
    again = place.with_name(_AGAIN + place.name)
    if not again.exists():
        return
    if (place / MANIFEST).exists():
        remove_folder(again)
    elif not place.exists():
        again.rename(place)


def _set_aside(path: Path) -> Path:
    place = free_name(path.with_name(_SET_ASIDE + path.name))
    path.rename(place)
    fsync(path.parent)
    return place


def _numbered(output_dir: Path) -> tuple[dict[int, Path], list[Skipped]]:
    """Return what is at `checkpoint-N` by N, and names that begin so but have no step number."""
    found: dict[int, Path] = {}
    odd: list[Skipped] = []
    try:
        names = sorted(path.name for path in output_dir.iterdir())
    except OSError:
        return {}, []
    for name in names:
        match = _NAME.fullmatch(name)
        if match:
            found[int(match[1])] = output_dir / name
        elif name.startswith("checkpoint-"):
            odd.append(Skipped(output_dir / name, ("the name has no step number",)))
    return found, odd
