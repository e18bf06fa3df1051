"""One run per output folder.

The lock is `flock` on `output_dir/.lock`: the kernel frees it at the moment the process dies, kill
-9 included, so there is nothing stale to clean up. What stands in the file tells people who holds
it and is never trusted for anything else.
"""

from __future__ import annotations

import contextlib
import errno
import json
import os
import socket
import time
import warnings
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self, cast

from ftadvise.text import clean
from ftadvise_trainer.errors import TrainError

if TYPE_CHECKING:
    from types import TracebackType

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]  # the module is there on every POSIX system

LOCK = ".lock"

_TAKEN = (errno.EWOULDBLOCK, errno.EACCES)
_UNSUPPORTED = (errno.ENOSYS, errno.ENOLCK, errno.EOPNOTSUPP)  # some network file systems
_held: set[int] = set()


class FolderLock:
    """Keeps a second run out of an output folder: `with FolderLock(output_dir): …`.

    With several processes in one run, rank 0 takes it and the others go in with it. Children made by fork (workers of a data loader) do not keep it alive.
    """

    def __init__(self, output_dir: Path, *, rank: int | None = None) -> None:
        """Name the folder, which is created when the lock is taken; `rank` as torchrun says."""
        self.path = Path(output_dir) / LOCK
        self._rank = os.environ.get("RANK", "0") if rank is None else str(rank)
        self._handle: int | None = None

    def __enter__(self) -> Self:
        """Take the lock.

        Raises:
            TrainError: FT507 with the holder, within a second, if another run has it.
            OSError: If the file cannot be made; see `preflight.disk_errors`.
        """
        if self._rank != "0":
            return self
        self.path.parent.mkdir(parents=True, exist_ok=True)
        flags = os.O_RDWR | os.O_CREAT | getattr(os, "O_CLOEXEC", 0) | getattr(os, "O_NOFOLLOW", 0)
        handle = os.open(self.path, flags, 0o644)
        try:
            if _take(handle):
                _write_holder(handle)
            elif fcntl is not None:
                raise TrainError(
                    f"{clean(self.path.parent)} is in use by {_read_holder(handle)}",
                    hint="Wait for that run, end it, or choose another training.output_dir.",
                    code="FT507",
                )
        except BaseException:
            os.close(handle)
            raise
        _held.add(handle)
        self._handle = handle
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Free the lock; the file stays, for deleting it would let two runs in at once."""
        handle, self._handle = self._handle, None
        if handle is None:
            return
        _held.discard(handle)
        with contextlib.suppress(OSError):
            os.ftruncate(handle, 0)
            if fcntl is not None:
                fcntl.flock(handle, fcntl.LOCK_UN)
        os.close(handle)


def _take(handle: int) -> bool:
    """Try to lock; True also where the file system cannot, with a warning."""
    if fcntl is None:
        warnings.warn("No folder locks on this system: start one run at a time", stacklevel=3)
        return True
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in _TAKEN:
            return False
        if error.errno not in _UNSUPPORTED:
            raise
        warnings.warn("This file system has no locks: start one run at a time", stacklevel=3)
    return True


def _write_holder(handle: int) -> None:
    now = datetime.now(UTC).isoformat(timespec="seconds")
    holder = {"pid": os.getpid(), "host": socket.gethostname(), "started": now}
    os.ftruncate(handle, 0)
    os.pwrite(handle, json.dumps(holder).encode(), 0)


def _read_holder(handle: int, patience: float = 0.5) -> str:
    """Return who holds the lock; the winner may not have written it yet, so look again a while."""
    deadline = time.monotonic() + patience
    while True:
        try:
            holder: Any = json.loads(os.pread(handle, 4096, 0))
        except (ValueError, RecursionError, OSError):
            holder = None
        if isinstance(holder, dict):
            given = cast("dict[str, Any]", holder)
            pid, host, since = (clean(given.get(k, "?"), 60) for k in ("pid", "host", "started"))
            return f"process {pid} on {host}, started {since}"
        if time.monotonic() > deadline:
            return "another process"
        time.sleep(0.02)


def _close_in_child() -> None:
    # A lock belongs to the open file, which a forked child shares: it would outlive its owner.
    for handle in list(_held):
        with contextlib.suppress(OSError):
            os.close(handle)
    _held.clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_close_in_child)
