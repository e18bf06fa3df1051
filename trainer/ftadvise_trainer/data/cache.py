"""Tokenised once for all processes of a run: the first writes the tokens, the others map them.

Whoever comes first takes a lock of the kernel and tokenises; the others wait for that lock, in no
collective and hence without a time limit, and find the tokens. Dies the first, the next has its
turn. Nothing hangs on it: a cache that is missing, damaged or of other data is made again.

It is `.tokens-KEY` in the output folder, one at a time, and lives as long as the run has an end
before it: it goes when `final` is there. KEY is a hash of the content of the data files, the
settings under `data:`, the tokenizer, the family and the versions of what makes tokens of them.
"""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import os
import shutil
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

import numpy as np

from ftadvise_trainer.data.report import DataReport, SideReport
from ftadvise_trainer.data.tokens import TokenDataset
from ftadvise_trainer.saving.durable import remove_folder
from ftadvise_trainer.tokenizers import adds_bos

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]  # the module is there on every POSIX system

if TYPE_CHECKING:
    from collections.abc import Generator, Iterator
    from pathlib import Path

    from ftadvise.families import ModelFamily
    from ftadvise_trainer.config import Config

NAME = ".tokens-"
_LOCK = ".tokens.lock"
_SCHEMA = "ftadvise.tokens/1"  # to be raised when the code makes other tokens of the same data
_MAKERS = ("ftadvise", "transformers", "tokenizers", "jinja2", "numpy")
_BLOCK = 1 << 20

Tokens = tuple[TokenDataset, TokenDataset, DataReport]
"""The train side, the eval side, and what became of the data."""


def key_of(config: Config, tokenizer: Any, family: ModelFamily) -> str | None:
    """Return what tells these tokens from others; None for a tokenizer that cannot be told.

    Reads every byte of the data.
    """
    backend = getattr(tokenizer, "backend_tokenizer", None)
    if backend is None:
        return None
    facts = {
        "schema": _SCHEMA,
        "data": dataclasses.asdict(config.data),
        "family": dataclasses.asdict(family),
        "template": tokenizer.chat_template,
        "special": tokenizer.special_tokens_map,
        "bos": adds_bos(tokenizer),
        "class": type(tokenizer).__name__,
        "versions": {name: _version(name) for name in _MAKERS},
    }
    digest = hashlib.sha256(json.dumps(facts, sort_keys=True, default=str).encode())
    digest.update(backend.to_str().encode())
    for name in (config.data.train, config.data.eval):
        for path in _files(config.find(name)) if name else ():
            digest.update(f"\0{path.name}\0{path.stat().st_size}\0".encode())
            with path.open("rb") as stream:
                while block := stream.read(_BLOCK):
                    digest.update(block)
    return digest.hexdigest()


@contextlib.contextmanager
def turn(folder: Path) -> Generator[None]:
    """Let one process after the other in; all at once where the file system has no locks."""
    folder.mkdir(parents=True, exist_ok=True)
    with (folder / _LOCK).open("ab") as handle:
        if fcntl is not None:
            with contextlib.suppress(OSError):
                fcntl.flock(handle, fcntl.LOCK_EX)  # until then, or until its holder has died
        yield


def load(folder: Path, key: str) -> Tokens | None:
    """Return the tokens of this key, mapped into memory; None if they are not there and whole."""
    place = folder / f"{NAME}{key[:16]}"
    try:
        facts: dict[str, Any] = json.loads((place / "report.json").read_text(encoding="utf-8"))
        train, held_out = (
            TokenDataset.of_arrays(*(_mapped(place / f"{side}-{name}.npy") for name in _ARRAYS))
            for side in ("train", "eval")
        )
        if facts["key"] != key or facts["sides"] != [train.fingerprint, held_out.fingerprint]:
            return None
        made: dict[str, Any] = facts["report"]
        made |= {side: SideReport(**made[side]) for side in ("train", "eval")}
        return train, held_out, DataReport(**made)
    except (OSError, ValueError, KeyError, TypeError, EOFError):
        return None


def save(folder: Path, key: str, tokens: Tokens) -> None:
    """Write the tokens, and delete those of other keys; a disk that fails is no reason to stop."""
    train, held_out, report = tokens
    facts = {
        "key": key,
        "sides": [train.fingerprint, held_out.fingerprint],
        "report": dataclasses.asdict(report),
    }
    building = folder / f".building-tokens-{os.getpid()}"
    try:
        _delete(folder)
        building.mkdir(parents=True)
        for side, dataset in (("train", train), ("eval", held_out)):
            arrays: tuple[Any, ...] = dataset.arrays()
            for name, array in zip(_ARRAYS, arrays, strict=True):
                np.save(building / f"{side}-{name}.npy", array, allow_pickle=False)
        (building / "report.json").write_text(json.dumps(facts), encoding="utf-8")
        building.rename(folder / f"{NAME}{key[:16]}")
    except OSError:
        shutil.rmtree(building, ignore_errors=True)


def clear(folder: Path) -> None:
    """Delete what is left of tokens in `folder`; who has mapped them keeps them."""
    _delete(folder)
    with contextlib.suppress(OSError):
        (folder / _LOCK).unlink()


def _delete(folder: Path) -> None:
    for pattern in (f"{NAME}*", ".building-tokens-*"):
        for place in list(folder.glob(pattern)):
            if place.is_dir() and not place.is_symlink():
                with contextlib.suppress(OSError):
                    remove_folder(place)


_ARRAYS = ("starts", "ids", "trained")


def _mapped(path: Path) -> Any:
    # An empty file cannot be mapped.
    array = np.load(path, mmap_mode="r", allow_pickle=False)
    return array if array.size else np.array(array)


def _files(path: Path) -> Iterator[Path]:
    if path.is_dir():
        yield from (one for one in sorted(path.rglob("*")) if one.is_file())
    elif path.is_file():
        yield path


def _version(name: str) -> str:
    try:
        return version(name)
    except PackageNotFoundError:
        return ""
