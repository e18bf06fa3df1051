"""MANIFEST.json: what makes a checkpoint a checkpoint.

transformers writes straight into `checkpoint-N`, so a run that is killed in the middle of a save
leaves a folder that looks like any other. The manifest is written last, when every file is on the
disk, and holds the size and SHA-256 of each: a folder without one is not a checkpoint, and a file
that was cut, changed or lost afterwards is found before anything is loaded from it.

A manifest is integrity, not authenticity: whoever can write the weights can write the manifest.
`training_args.bin`, `optimizer.pt`, `scheduler.pt`, `rng_state.pth` and what FSDP adds are torch
files. We never open them: transformers and accelerate do, with `weights_only`, and only in a
checkpoint whose manifest holds. `training_args.bin` is never read at all. The weights that a
model is made from are safetensors alone. `sharding` refuses what would write anything else.
"""

from __future__ import annotations

import hashlib
import json
import math
import stat
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any, cast

from ftadvise.text import clean
from ftadvise_trainer.saving.durable import fsync, fsync_tree, write_atomically
from ftadvise_trainer.saving.manifest_files import MANIFEST, digests, is_forbidden, is_loaded, walk

SCHEMA = "ftadvise.checkpoint/1"

_LARGEST_MANIFEST = 16 * 2**20  # bytes; about 100,000 files


@dataclass(frozen=True)
class Manifest:
    """What MANIFEST.json says about a checkpoint, and the size and SHA-256 of its files."""

    step: int
    epoch: float | None = None
    eval_loss: float | None = None
    config_hash: str | None = None
    settings: dict[str, Any] = field(default_factory=dict[str, Any])
    files: dict[str, dict[str, Any]] = field(default_factory=dict[str, dict[str, Any]])


def write_manifest(
    folder: Path,
    *,
    step: int | None = None,
    epoch: float | None = None,
    eval_loss: float | None = None,
    config_hash: str | None = None,
    settings: Mapping[str, Any] | None = None,
) -> Manifest:
    """Bring a finished checkpoint onto the disk and declare it valid.

    Every file and folder in it is fsynced, then the manifest is written aside, fsynced and renamed,
    then `folder` and its parent are fsynced. A crash before the rename leaves no manifest.

    Args:
        folder: The checkpoint; nobody may write into it any more.
        step: Optimizer step; that in the name `checkpoint-N` when left out.
        epoch: Passes over the data so far.
        eval_loss: Eval loss of these weights; kept only if finite.
        config_hash: Of the settings, as the caller makes it.
        settings: To be compared on resume; must be JSON, values that are not finite become null.

    Raises:
        OSError: If the disk is full or broken; see `preflight.disk_errors`.
    """
    folder = Path(folder)
    if step is None:
        step = int(folder.name.rpartition("-")[2])
    fsync_tree(folder)
    found, _ = walk(folder)
    hashes = digests(folder, found)
    manifest = Manifest(
        step=step,
        epoch=_finite(epoch),
        eval_loss=_finite(eval_loss),
        config_hash=config_hash,
        settings=json.loads(json.dumps(_strict(settings or {}), default=str)),
        files={name: {"size": found[name], "sha256": hashes[name]} for name in sorted(found)},
    )
    write_atomically(folder / MANIFEST, render(manifest))
    fsync(folder.absolute().parent)
    return manifest


def record_eval_loss(folder: Path, eval_loss: float) -> None:
    """Put an eval loss that became known later into the manifest of `folder`, if it has one."""
    manifest = read_manifest(folder)
    if manifest is not None:
        changed = replace(manifest, eval_loss=_finite(eval_loss))
        write_atomically(Path(folder) / MANIFEST, render(changed))


def read_manifest(folder: Path) -> Manifest | None:
    """Return what the manifest of `folder` says, or None if there is none or it is damaged.

    The files are not looked at; see `problems`.
    """
    manifest, _ = _parse(Path(folder))
    return manifest


def problems(folder: Path) -> list[str]:
    """Return why `folder` is not a valid checkpoint; an empty list if it is one.

    Reads every byte of it, follows no link and unpickles nothing. Never raises.
    """
    folder = Path(folder)
    try:
        if folder.is_symlink():
            return ["is a symbolic link"]
        if not folder.is_dir():
            return ["is not a folder"]
        manifest, reason = _parse(folder)
        if manifest is None:
            return [reason]
        return _compare(folder, manifest)
    except OSError as error:
        return [f"cannot be read: {error.strerror or error}"]


def _compare(folder: Path, manifest: Manifest) -> list[str]:
    found, odd = walk(folder)
    reasons = [f"{clean(name)}: {what}" for name, what in odd]
    name, _, number = folder.name.rpartition("-")
    if name == "checkpoint" and number != str(manifest.step):
        reasons.append(f"the manifest is that of step {manifest.step}")
    for name in sorted(manifest.files.keys() - found.keys()):
        reasons.append(f"{clean(name)}: missing")
    for name in sorted(found.keys() - manifest.files.keys()):
        if is_loaded(name):
            reasons.append(f"{clean(name)}: not in the manifest")
    for name in sorted(found):
        if is_forbidden(name):
            reasons.append(f"{clean(name)}: weights that are not safetensors")
    sized: list[str] = []
    for name in sorted(found.keys() & manifest.files.keys()):
        size = manifest.files[name]["size"]
        if found[name] == size:
            sized.append(name)
        else:
            reasons.append(f"{clean(name)}: {found[name]} bytes instead of {size}")
    for name, digest in digests(folder, {n: found[n] for n in sized}).items():
        if digest != manifest.files[name]["sha256"]:
            reasons.append(f"{clean(name)}: content has changed (SHA-256)")
    return reasons


def render(manifest: Manifest) -> bytes:
    """Return the bytes of MANIFEST.json, whose last field is the SHA-256 of those before it."""
    fields = {"schema": SCHEMA, **asdict(manifest)}
    body = json.dumps(fields, indent=1, allow_nan=False)
    digest = hashlib.sha256(body.encode()).hexdigest()
    return f'{body[:-2]},\n "sha256": "{digest}"\n}}\n'.encode()


def _parse(folder: Path) -> tuple[Manifest | None, str]:
    path = folder / MANIFEST
    try:
        status = path.lstat()
    except FileNotFoundError:
        return None, "has no manifest: the save did not finish"
    if not stat.S_ISREG(status.st_mode) or status.st_size > _LARGEST_MANIFEST:
        return None, f"{MANIFEST}: is not a plain file of sensible size"
    raw = path.read_bytes()
    try:
        fields = json.loads(raw)
        if not isinstance(fields, dict):
            raise TypeError
        given = cast("dict[str, Any]", fields)
        if given.get("schema") != SCHEMA:
            return None, f"{MANIFEST}: schema {clean(given.get('schema'), 40)}, not {SCHEMA}"
        manifest = Manifest(**{k: v for k, v in given.items() if k not in ("schema", "sha256")})
        # Byte by byte what we would have written: a flipped bit in the eval loss counts, too.
        if render(manifest) != raw or not _sound(manifest):
            raise ValueError
    except (ValueError, TypeError, RecursionError, AttributeError):
        return None, f"{MANIFEST}: damaged"
    return manifest, ""


def _sound(manifest: Manifest) -> bool:
    entries: list[Any] = list(manifest.files.values())
    return type(manifest.step) is int and all(
        type(e.get("size")) is int and type(e.get("sha256")) is str for e in entries
    )


def _finite(value: float | None) -> float | None:
    return float(value) if value is not None and math.isfinite(value) else None


def _strict(value: Any) -> Any:
    """Replace floats that JSON has no word for by None, at any depth."""
    if isinstance(value, float):
        return _finite(value)
    if isinstance(value, Mapping):
        items: Mapping[Any, Any] = value
        return {str(key): _strict(item) for key, item in items.items()}
    if isinstance(value, (list, tuple)):
        return [_strict(item) for item in cast("Sequence[Any]", value)]
    return value
