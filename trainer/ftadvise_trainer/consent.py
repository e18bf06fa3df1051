"""Whether the code of a model may run: asked of whoever sits at the terminal."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING

import click

from ftadvise.text import clean
from ftadvise_trainer import remote_code as code
from ftadvise_trainer.errors import TrainError

if TYPE_CHECKING:
    from ftadvise_trainer.config import Config


def ask(config: Config, remote_code: str, yes: bool) -> None:
    """Refuse code that is not that of the model, and ask whoever sits at the terminal.

    Without a terminal nobody can be asked, and the option is the consent.
    """
    code.allowed(config, remote_code)
    if yes or not at_terminal():
        return
    if "RANK" in os.environ:
        raise TrainError(
            "of several processes at one terminal none can ask whether remote code may run",
            hint="Look at the code, then add --yes.",
        )
    name, revision = code.split(remote_code)
    question = f"Run the code of {clean(name, 200)} at {revision}, with all your rights?"
    if not click.confirm(question, default=False, err=True):
        raise TrainError("remote code was not allowed to run; nothing was loaded")


def at_terminal() -> bool:
    """Say whether somebody can be asked."""
    return sys.stdin is not None and sys.stdin.isatty()
