"""A configuration file: read as text to the byte, and replaced as a whole or not at all."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import tempfile
from dataclasses import dataclass
from pathlib import Path

from ftadvise.config.errors import ConfigFileError
from ftadvise.text import clean

_MOST_BYTES = 256_000


@dataclass(frozen=True)
class ConfigFile:
    """A file as it was read.

    Attributes:
        path: Where it really is: behind every symbolic link.
        text: What is in it, byte order mark and line ends included.
    """

    path: Path
    text: str


def read(path: str | Path) -> ConfigFile:
    """Read a configuration file.

    A symbolic link is followed, and it is its target that will be changed: that is the file that
    the trainer reads through it, and the link stays one. A file that has more than one name (hard
    links) is refused, since replacing it would part it from the others.

    Raises:
        ConfigFileError: FT431 if there is no such file, FT432 if it is not UTF-8 text.
    """
    name = clean(path, 300)
    try:
        real = Path(path).resolve(strict=True)
        _check_kind(name, real.stat())  # before it is opened: a pipe would wait for its writer
        with real.open("rb") as file:
            raw = file.read(_MOST_BYTES + 1)
    except FileNotFoundError:
        raise ConfigFileError(
            f"there is no file {name}", hint="Check the path.", code="FT431"
        ) from None
    except (OSError, RuntimeError) as error:  # RuntimeError: a link that leads to itself
        reason = getattr(error, "strerror", None) or "its links lead nowhere"
        raise ConfigFileError(f"cannot read {name}: {reason}", code="FT431") from None
    if len(raw) > _MOST_BYTES:
        size = f"{_MOST_BYTES // 1000} kB"
        raise ConfigFileError(f"{name} is larger than {size}, so no training YAML", code="FT431")
    try:
        return ConfigFile(real, raw.decode("utf-8"))
    except UnicodeDecodeError as error:
        raise ConfigFileError(
            f"{name} is not UTF-8 text (byte {error.start})",
            hint="Save it as UTF-8 first.",
            code="FT432",
        ) from None


def _check_kind(name: str, status: os.stat_result) -> None:
    if not stat.S_ISREG(status.st_mode):
        raise ConfigFileError(f"{name} is not a regular file", code="FT431")
    if status.st_nlink > 1:
        links = status.st_nlink
        raise ConfigFileError(
            f"{name} is one of {links} names (hard links) of the same file",
            hint="Copy it first: replacing it would leave the other names with the old text.",
            code="FT431",
        )


def replace(file: ConfigFile, text: str) -> None:
    """Put `text` into the file: whoever looks, and a crash at any time, finds the old or the new.

    It is written to a new file beside it, synced to the disk and renamed. Mode, extended
    attributes and, where that is allowed, the owner are kept.

    Raises:
        ConfigFileError: FT438 if that fails, or if the file is no longer as it was read.
    """
    name = clean(file.path, 300)
    temporary: Path | None = None
    try:
        handle, made = tempfile.mkstemp(".tmp", f".{file.path.name}.", file.path.parent)
        temporary = Path(made)
        with open(handle, "wb") as stream:  # noqa: PTH123 - a handle, not a path
            stream.write(text.encode("utf-8"))
            _take_after(file.path, temporary)
            stream.flush()
            os.fsync(stream.fileno())
        if file.path.read_bytes() != file.text.encode("utf-8"):
            raise ConfigFileError(
                f"{name} was changed by somebody else just now", hint="Try again.", code="FT438"
            )
        temporary.replace(file.path)
        temporary = None
        _sync_folder(file.path.parent)
    except OSError as error:
        hint = "The file is as it was; `--diff` prints the change instead."
        message = f"cannot write {name}: {error.strerror}"
        raise ConfigFileError(message, hint=hint, code="FT438") from None
    finally:
        if temporary is not None:
            with contextlib.suppress(OSError):
                temporary.unlink()


def _take_after(old: Path, new: Path) -> None:
    """Give a new file the mode, attributes and owner of an old one."""
    status = old.stat()
    if (status.st_uid, status.st_gid) != (new.stat().st_uid, new.stat().st_gid):
        with contextlib.suppress(OSError):  # only root may give files away
            os.chown(new, status.st_uid, status.st_gid)
    shutil.copystat(old, new)
    os.utime(new)  # but it was changed now


def _sync_folder(folder: Path) -> None:
    with contextlib.suppress(OSError):  # some network file systems have no fsync for folders
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
