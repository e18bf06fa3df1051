"""What goes to stderr: one line `error: ...`, and `hint: ...` where something can be done."""

from __future__ import annotations

import os
import sys
from contextvars import ContextVar

import click

from ftadvise.errors import FtadviseError, UsageError
from ftadvise.text import clean

BUG = "FT999"
debugging: ContextVar[bool] = ContextVar("debugging", default=False)

_ISSUE = "This is a bug in ftadvise: please report it with the output of the same command --debug."
_LONGEST = 1000


class Unknown(UsageError):
    """Something was asked for by a name that there is none of."""

    def __init__(self, kind: str, name: str, hint: str) -> None:
        """Say what kind of thing has no such name."""
        super().__init__(f"no {kind} is called {clean(name, 80)!r}", hint=hint)


def as_error(error: Exception) -> FtadviseError:
    """Turn any exception into an error with a code, a message and a hint."""
    if isinstance(error, FtadviseError):
        return error
    if isinstance(error, click.ClickException):
        context = error.ctx if isinstance(error, click.UsageError) else None
        hint = f"`{context.command_path} --help` lists what there is." if context else ""
        return UsageError(error.format_message(), hint=hint)
    message = f"unexpected {type(error).__name__}: {clean(error, 300)}"
    bug = FtadviseError(message, hint=_ISSUE, code=BUG)
    bug.__cause__ = error
    return bug


def complain(error: Exception) -> None:
    """Write what went wrong to stderr, after its traceback if one was asked for."""
    known = as_error(error)
    if debugging.get():
        plain(_traceback(known.__cause__ or known))
    say("error", f"{clean(known.message, _LONGEST)} [{known.code}]")
    if known.hint:
        say("hint", clean(known.hint, _LONGEST))


def say(label: str, message: str) -> None:
    """Write one line `label: message` to stderr."""
    plain(f"{label}: {message}")


def plain(line: str) -> None:
    """Write one line to stderr as it is; where nothing can be written there it is left out."""
    try:
        click.echo(line, err=True)
    except OSError:  # the exit code still says it; what is buffered must not fail at the end again
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stderr.fileno())


def _traceback(error: BaseException) -> str:
    import traceback

    lines = "".join(traceback.format_exception(error)).rstrip().split("\n")
    return "\n".join("".join(c if c.isprintable() else "?" for c in line) for line in lines)
