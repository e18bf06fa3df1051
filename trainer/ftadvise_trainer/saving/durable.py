"""Files that survive a kill or a power cut: written aside, fsynced, renamed, folder fsynced.

A rename within a file system is atomic: whoever looks sees the old file or the new one. It is on
the disk only when the folder that holds the name has been fsynced, too.
"""

from __future__ import annotations

import contextlib
import errno
import os
import shutil
from pathlib import Path

TRASH = ".trash-"
"""Prefix of folders that are being deleted; whoever finds one may delete the rest of it."""

_BUSY = (errno.ENOTEMPTY, errno.EBUSY, errno.ENOENT)  # a file is still open (NFS), or it is gone


def fsync(path: Path) -> None:
    """Wait until the file or folder at `path` is on the disk."""
    handle = os.open(path, os.O_RDONLY | getattr(os, "O_NOFOLLOW", 0))
    try:
        os.fsync(handle)
    except OSError as error:
        # Some network file systems have no fsync for folders; their renames need none.
        if error.errno != errno.EINVAL or not path.is_dir():
            raise
    finally:
        os.close(handle)


def fsync_tree(folder: Path) -> None:
    """Fsync every file and folder in `folder`, `folder` itself last; links are left out."""
    for parent, _, names in os.walk(folder, topdown=False):
        for name in names:
            path = Path(parent, name)
            if path.is_file() and not path.is_symlink():
                fsync(path)
        fsync(Path(parent))


def write_atomically(path: Path, data: bytes) -> None:
    """Put `data` into the file `path`: after a crash it holds the old bytes or the new ones."""
    temporary = path.with_name(f"{path.name}.tmp")
    try:
        with temporary.open("wb") as stream:
            stream.write(data)
            stream.flush()
            os.fsync(stream.fileno())
        temporary.replace(path)
    except BaseException:
        with contextlib.suppress(OSError):
            temporary.unlink()
        raise
    fsync(path.parent)


def remove_folder(folder: Path) -> None:
    """Delete a folder so that a kill in the middle leaves nothing that looks like it.

    It is renamed to `.trash-…` first. Files that somebody else still holds open on a network file
    system stay there until `empty_trash`.
    """
    trash = free_name(folder.with_name(f"{TRASH}{folder.name}"))
    try:
        folder.rename(trash)
    except FileNotFoundError:
        return
    _delete(trash)


def empty_trash(output_dir: Path) -> None:
    """Delete what a killed `remove_folder` left behind in `output_dir`."""
    for path in list(output_dir.glob(f"{TRASH}*")):
        if path.is_dir() and not path.is_symlink():
            _delete(path)


def free_name(path: Path) -> Path:
    """Return `path`, or the first of `path`-2, `path`-3, … where nothing is yet."""
    candidate, n = path, 1
    while os.path.lexists(candidate):
        n += 1
        candidate = path.with_name(f"{path.name}-{n}")
    return candidate


def _delete(folder: Path) -> None:
    try:
        shutil.rmtree(folder)
    except OSError as error:
        if error.errno not in _BUSY:
            raise
