"""Where the history lies, and what kind of disk that is."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from ftadvise.history.failures import HistoryError
from ftadvise.user_data import HISTORY, OFF, history_file, history_is_kept

# Write-ahead logging shares memory between the processes at a file, which those of two hosts
# cannot; SQLite does not notice by itself (https://sqlite.org/wal.html).
_NETWORK = frozenset(
    [
        "9p",
        "acfs",
        "afs",
        "beegfs",
        "ceph",
        "cifs",
        "fuse.ceph",
        "fuse.glusterfs",
        "fuse.juicefs",
        "fuse.s3fs",
        "fuse.sshfs",
        "gfs",
        "gfs2",
        "glusterfs",
        "gpfs",
        "lustre",
        "ncpfs",
        "nfs",
        "nfs4",
        "ocfs2",
        "panfs",
        "pvfs2",
        "smb2",
        "smb3",
        "smbfs",
    ]
)


def enabled() -> bool:
    """Say whether a history is kept: not with FTADVISE_HISTORY=off."""
    return history_is_kept()


def default_path() -> Path:
    """Return where the history lies: `$FTADVISE_HISTORY`, else in the user's data folder.

    Raises:
        HistoryError: FT428 when it is switched off with `off`, FT424 when there is no home.
    """
    if not enabled():
        hint = f"Unset {HISTORY} to keep one again."
        raise HistoryError(f"the history is off ({HISTORY}={OFF})", code="FT428", hint=hint)
    try:
        return history_file()
    except RuntimeError:
        raise HistoryError(
            "no home folder is known to keep the history in", hint=f"Set {HISTORY} to a file."
        ) from None


def on_network(path: Path) -> bool:
    """Say whether a file lies on a network file system; False where the system does not tell."""
    try:
        mounts = Path("/proc/self/mountinfo").read_text(encoding="utf-8", errors="replace")
        where = path.parent.resolve()
    except (OSError, RuntimeError):
        return False
    return disk_of(where, mounts.splitlines()) in _NETWORK


def disk_of(folder: Path, mounts: Iterable[str]) -> str:
    """Return the type of the file system that `folder` lies on, by the longest mount point.

    Args:
        folder: An absolute path.
        mounts: Lines of `/proc/self/mountinfo` (proc_pid_mountinfo(5)).
    """
    best, kind = -1, ""
    for line in mounts:
        fields, _, rest = line.partition(" - ")
        parts = fields.split()
        if len(parts) < 5 or not rest:
            continue
        point = parts[4].replace("\\040", " ")
        # Of two mounts on one point the later hides the earlier.
        if folder.is_relative_to(point) and len(point) >= best:
            best, kind = len(point), rest.split()[0]
    return kind
