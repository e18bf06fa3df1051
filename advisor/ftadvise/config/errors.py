"""What keeps a configuration file from being changed. It is left as it was, to the byte."""

from __future__ import annotations

from ftadvise.errors import FtadviseError

BY_HAND = "`ftadvise export LOG --to TOOL` prints the settings to paste by hand."


class ConfigFileError(FtadviseError):
    """A configuration file that cannot be changed safely; nothing was written.

    Codes: FT431 no file that can be read, FT432 a file that is not UTF-8, FT433 a file that is not
    YAML, FT434 a YAML written in a way that cannot be edited safely, FT435 a YAML for a tool that is
    not recognised, FT436 PyYAML is not installed, FT438 a file that cannot be written, or that
    somebody else has changed meanwhile.
    """

    default_code = "FT434"

    def __init__(self, message: str, *, hint: str = BY_HAND, code: str | None = None) -> None:
        """As `FtadviseError`; the way out is mostly to paste the settings by hand."""
        super().__init__(message, hint=hint, code=code)


def at_line(line: int, message: str) -> ConfigFileError:
    """Return the error that `message` is about what stands in a line, counted from 1."""
    return ConfigFileError(f"line {line}: {message}")
