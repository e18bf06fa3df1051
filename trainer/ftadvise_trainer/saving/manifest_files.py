"""What lies in a checkpoint's folder: its files, which of them may be there, and their digests."""

from __future__ import annotations

import fnmatch
import hashlib
import os
import stat
from collections.abc import Mapping, Sequence
from pathlib import Path

MANIFEST = "MANIFEST.json"

TORCH_FILES = (
    "training_args.bin",
    "optimizer.pt",
    "optimizer.bin",  # FSDP
    "pytorch_model_fsdp.bin",  # FSDP, for a resume; the weights are in safetensors, too
    "scheduler.pt",
    "scaler.pt",
    "rng_state.pth",
    "rng_state_*.pth",
)
"""The only files besides safetensors that may hold tensors, at the top of the folder alone; all
are read with `weights_only`."""

_PICKLES = (
    ".bin",
    ".pt",
    ".pth",
    ".ckpt",
    ".pkl",
    ".pickle",
    ".joblib",
    ".distcp",
    ".npy",
    ".npz",
)
# What a loader may pick up by its name: one of these that the manifest does not list is a problem,
# while a note that somebody left in the folder is not.
_LOADED = (
    *_PICKLES,
    ".safetensors",
    ".json",
    ".jinja",
    ".model",
    ".py",
    ".gguf",
    ".h5",
    ".msgpack",
)
# In bytes; hashing releases the GIL, but threads cost more on small files.
_PARALLEL_FROM = 64 * 2**20


def is_loaded(name: str) -> bool:
    """Return whether a loader may pick the file up by its name."""
    return name.endswith(_LOADED)


def is_forbidden(name: str) -> bool:
    """Return whether the file holds tensors, or anything pickled, that nobody here reads safely."""
    if not name.endswith(_PICKLES):
        return False
    return "/" in name or not any(fnmatch.fnmatchcase(name, pattern) for pattern in TORCH_FILES)


def walk(folder: Path) -> tuple[dict[str, int], list[tuple[str, str]]]:
    """Return the size of each file below `folder` by relative name, and what is no plain file."""
    found: dict[str, int] = {}
    odd: list[tuple[str, str]] = []
    for parent, folders, names in os.walk(folder):
        for name in [*names, *folders]:
            path = Path(parent, name)
            relative = path.relative_to(folder).as_posix()
            status = path.lstat()
            if stat.S_ISLNK(status.st_mode):
                odd.append((relative, "is a symbolic link"))
            elif stat.S_ISREG(status.st_mode):
                if relative not in (MANIFEST, f"{MANIFEST}.tmp"):
                    found[relative] = status.st_size
            elif not stat.S_ISDIR(status.st_mode):
                odd.append((relative, "is not a plain file"))
    return found, odd


def digests(folder: Path, sizes: Mapping[str, int]) -> dict[str, str]:
    """Return the SHA-256 of each file by its name, given the sizes in bytes."""
    names: Sequence[str] = list(sizes)
    if sum(sizes.values()) < _PARALLEL_FROM:
        return {name: _digest(folder / name) for name in names}
    from concurrent.futures import ThreadPoolExecutor

    with ThreadPoolExecutor(max_workers=min(8, os.cpu_count() or 1)) as pool:
        return dict(zip(names, pool.map(lambda name: _digest(folder / name), names), strict=True))


def _digest(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()
