"""The group of commands: loads a command when it is called, and words every error the same way."""

from __future__ import annotations

import importlib
import os
import sys
from typing import TYPE_CHECKING, Any, NoReturn

import click

from ftadvise.cli import messages
from ftadvise.text import nearest

if TYPE_CHECKING:
    from collections.abc import Sequence


class LazyGroup(click.Group):
    """A group whose own commands are known by name and one line of help until they are called.

    Args:
        lazy: The one line of help by command name; the command `x` lives in `ftadvise.cli.x`,
            where it is called `command`. Third-party plugins add theirs when a name is not found
            here, or for `--help`.
    """

    def __init__(self, *args: Any, lazy: dict[str, str], **kwargs: Any) -> None:
        """Keep the table of commands."""
        super().__init__(*args, **kwargs)
        self._lazy = lazy
        self._plugins_asked = False

    def main(self, args: Sequence[str] | None = None, *rest: Any, **extra: Any) -> NoReturn:
        """Run the command line and exit with 0 (done), 1 (`--check`) or 2 (cannot)."""
        given = sys.argv[1:] if args is None else list(args)
        options = given[: given.index("--")] if "--" in given else given
        names = given[len(options) :]  # after -- a name may look like an option
        args = [*(arg for arg in options if arg != "--debug"), *names] or ["--help"]
        debug = "--debug" in options or os.environ.get("FTADVISE_DEBUG", "") not in ("", "0")
        messages.debugging.set(debug)
        try:
            extra["standalone_mode"] = False
            extra.setdefault("obj", tuple(given))  # for a report that names the command line
            code = super().main(args, *rest, **extra)
        except click.Abort:
            sys.exit(130)
        except Exception as error:  # noqa: BLE001 - every failure gets a line and an exit code
            messages.complain(error)
            sys.exit(getattr(error, "exit_code", 2))
        sys.exit(code if isinstance(code, int) else 0)

    def list_commands(self, ctx: click.Context) -> list[str]:
        """Return the names of our own commands in their order, then those of plugins."""
        self._ask_plugins()
        return [*self._lazy, *sorted(set(self.commands) - set(self._lazy))]

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Return a command, loading its module if it is one of ours."""
        if cmd_name in self._lazy:
            command: click.Command = importlib.import_module(f"ftadvise.cli.{cmd_name}").command
            return command
        self._ask_plugins()
        return super().get_command(ctx, cmd_name)

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the command that was asked for, or say which one may have been meant."""
        name = args[0]
        missing = not name.startswith("-") and self.get_command(ctx, name) is None
        if missing and not ctx.resilient_parsing:  # which is how words are completed
            raise messages.Unknown("command", name, _meant(name, self.list_commands(ctx)))
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the list of commands without loading our own."""
        rows: list[tuple[str, str]] = []
        for name in self.list_commands(ctx):
            command = None if name in self._lazy else self.commands[name]
            if command is None or not command.hidden:
                rows.append(
                    (name, command.get_short_help_str(80) if command else self._lazy[name])
                )
        with formatter.section("Commands"):
            formatter.write_dl(rows)

    def _ask_plugins(self) -> None:
        if not self._plugins_asked:
            self._plugins_asked = True
            from ftadvise import plugins

            plugins.third_party().call_commands(self)


def _meant(name: str, known: list[str]) -> str:
    """Say what an unknown command may have been meant to be."""
    meant = nearest(name.lower(), known)
    if meant:
        return f"Did you mean `ftadvise {meant}`?"
    if os.sep in name or os.path.splitext(name)[1] or os.path.lexists(name):  # noqa: PTH122 - pathlib is slow to load
        return f"Did you mean `ftadvise analyze {name}`?"
    return f"There are {', '.join(known)}."
