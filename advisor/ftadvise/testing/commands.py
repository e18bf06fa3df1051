"""The promises of commands that a plugin adds."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click
from click.testing import CliRunner

from ftadvise.testing.promises import answer, require, require_name

if TYPE_CHECKING:
    from collections.abc import Callable, Collection


def check_commands(
    register_commands: Callable[[click.Group], Any], taken: Collection[str] = ()
) -> list[str]:
    """Check the commands that an implementation of `register_commands` adds.

    Each needs a name of its own and a help text, and `--help` must work. The hook is called
    whenever the command line starts, so it must work more than once.

    Args:
        register_commands: The implementation of the hook.
        taken: Names that are not free, such as those of ftadvise's own commands.

    Returns:
        The names of the commands.

    Raises:
        AssertionError: A promise is broken.
    """
    first, second = click.Group("ftadvise"), click.Group("ftadvise")
    for group in (first, second):
        answer("register_commands", register_commands, group)
    require(bool(first.commands), "register_commands adds no command")
    require(
        set(first.commands) == set(second.commands),
        "register_commands adds other commands when it is called again",
    )
    for name, command in first.commands.items():
        what = require_name(name, "command")
        require(name not in taken, f"{what}: ftadvise has a command of that name")
        told = command.help or command.short_help
        require(bool(told), f"{what} has no help: give its function a docstring")
        shown = CliRunner().invoke(first, [name, "--help"])
        require(shown.exit_code == 0, f"{what} --help fails: {shown.output or shown.exception!r}")
    return list(first.commands)
