"""Every error that ftadvise raises on purpose.

One root, grouped by what the caller can do about it. Each error has a stable `code`, a message
that says what was found, and a `hint` that says what to do next.
"""

from __future__ import annotations


class FtadviseError(Exception):
    """Root of all ftadvise errors.

    Attributes:
        code: Stable identifier such as `"FT401"`, safe to match on in scripts.
        message: What was found, in one line.
        hint: What to do about it; empty where nothing useful can be said.
    """

    default_code = "FT400"

    def __init__(self, message: str, *, hint: str = "", code: str | None = None) -> None:
        """Store the parts; `str(error)` is the message alone."""
        super().__init__(message)
        self.message = message
        self.hint = hint
        self.code = code or self.default_code


class LogError(FtadviseError):
    """A log cannot be read: it is missing, broken, or holds no loss history.

    Codes: FT401 no such file, or one that cannot be opened, FT402 an empty file, FT403 a Git LFS
    pointer instead of the file, FT404 a file in no known format, or a broken one, FT405 no loss
    history, FT406 metrics without a loss, FT407 a file over a size limit, FT408 not a regular file,
    FT409 no run or no series of that name, FT410 a log to which nothing more was written while it
    was waited for.
    """

    default_code = "FT404"


class UsageError(FtadviseError):
    """A request that cannot be met as it was put: an unknown policy, rule or setting."""

    default_code = "FT411"


class PluginError(FtadviseError):
    """A plugin could not be loaded, or returned something it should not."""

    default_code = "FT901"
