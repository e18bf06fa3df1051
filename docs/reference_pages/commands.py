"""A page for every command: how it is called, what it does, its options, its subcommands."""

from __future__ import annotations

import inspect
import re
from collections.abc import Iterator

import click

from ftadvise.cli import main as cli
from ftadvise_trainer.commands import register_commands
from reference_pages.markdown import WRITTEN, code, fenced, help_text, page, table

_BELOW = {
    "analyze": """
## What it prints

![The answer in the terminal: epochs, patience, what to expect, overfitting, and the loss curves](../../pictures/terminal.svg)

How the parts of the answer hang together, in the same log:

![A run with its best evaluation, its overfitting and its patience; the forecast of other lengths](../../pictures/advice.svg)
""",
    "train": """
## See also

[Every key of the YAML](../settings.md), [recipes of model families](../families.md),
[exit codes](../exit-codes.md#ftadvise-train), and [what it does differently](../../train.md).
""",
    "watch": """
## See also

[Following a run](../../watch.md), [exit codes](../exit-codes.md#ftadvise-watch),
[the lines of `--format jsonl`](../outputs/progress-1.md).
""",
    "completion": """
## What is completed

Commands, options, formats, codes of findings (with their names, in zsh and fish) and stop policies,
those of plugins too. It takes no longer than `--help`: nothing heavy is imported.
""",
    "env": """
## What it tells

Versions of ftadvise, Python, its packages and those that training takes; devices by `nvidia-smi`;
plugins with their errors; our environment variables; where the history lies.
[The object of `--format json`](../outputs/env-1.md).
""",
    "history": "[What is remembered, and what for](../../history.md).",
    "export": "[Settings for other trainers](../../config-out.md).",
    "replay": "[Stop policies](../stop-policies.md).",
    "plugins": "[Writing a plugin](../../plugins.md).",
}


def pages() -> dict[str, str]:
    """Return the page of every command by its path, those of the trainer included."""
    register_commands(cli)
    root = click.Context(cli, info_name="ftadvise", **cli.context_settings)
    found: dict[str, str] = {}
    for name in cli.list_commands(root):
        command = cli.get_command(root, name)
        assert command is not None
        if not command.hidden:
            found[f"commands/{name}.md"] = _page(command, click.Context(command, root, name))
    return found


def summaries() -> dict[str, str]:
    """Return what each command is for in one line, by its name."""
    root = click.Context(cli, info_name="ftadvise")
    commands = {name: cli.get_command(root, name) for name in cli.list_commands(root)}
    return {
        name: command.get_short_help_str(90)
        for name, command in commands.items()
        if command and not command.hidden
    }


def common() -> list[tuple[str, str]]:
    """Return the options that go before a command, each with what it does."""
    root = click.Context(cli, info_name="ftadvise", **cli.context_settings)
    return _options(cli, root)


def _options(command: click.Command, context: click.Context) -> list[tuple[str, str]]:
    given = [one for one in command.get_params(context) if isinstance(one, click.Option)]
    return [row for one in given if (row := _row(one, context))]


def _page(command: click.Command, context: click.Context) -> str:
    parts = [WRITTEN, *_about(command, context)]
    for name, child in _children(command, context):
        inner = click.Context(child, context, name)
        parts += [f"## {inner.command_path}", *_about(child, inner, "###")]
    return page(context.command_path, *parts, _BELOW.get(str(context.info_name), ""))


def _children(
    command: click.Command, context: click.Context
) -> Iterator[tuple[str, click.Command]]:
    if isinstance(command, click.Group):
        for name in command.list_commands(context):
            child = command.get_command(context, name)
            if child is not None and not child.hidden:
                yield name, child


def _about(command: click.Command, context: click.Context, heading: str = "##") -> list[str]:
    usage = " ".join([context.command_path, *command.collect_usage_pieces(context)])
    shown = _options(command, context)
    parts = [fenced(usage), _help(command.help)]
    if [option for option, _ in shown if "--help" not in option]:
        parts += [f"{heading} Options", table(("option", "what it does"), shown)]
    return [*parts, _help(command.epilog)]


def _help(text: str | None) -> str:
    """Return a help text as Markdown; what click would not wrap stands as it is."""
    paragraphs = inspect.cleandoc(text or "").split("\n\n")
    return "\n\n".join(
        fenced(paragraph.removeprefix("\b\n"))
        if paragraph.startswith("\b\n")
        else help_text(paragraph)
        for paragraph in paragraphs
    )


def _row(option: click.Option, context: click.Context) -> tuple[str, str] | None:
    if option.hidden:
        return None
    *short, longest = [*option.opts, *option.secondary_opts]
    takes = "" if option.is_flag or option.count else _taken(option, context)
    names = ", ".join([*map(code, short), code(longest + takes)])
    written, _, default = (option.help or "").partition("[default: ")
    said = [" ".join(written.split())]
    if isinstance(option.type, click.Choice):
        said.append(
            "One of " + ", ".join(code(str(choice)) for choice in option.type.choices) + "."
        )
    elif isinstance(option.type, click.IntRange | click.FloatRange) and not option.is_flag:
        said.append(_bounds(option.type))
    if option.required:
        said.append("Has to be given.")
    elif default := default.rstrip("] ") or _default(option, context):
        said.append(f"Default: {default}.")
    text = " ".join(part for part in said if part)
    return names, help_text(text)


def _taken(option: click.Option, context: click.Context) -> str:
    if isinstance(option.type, click.Choice) and not option.metavar:
        return ""
    return " " + option.make_metavar(context).partition(" ")[0].replace("|", " or ")


def _bounds(kind: click.IntRange | click.FloatRange) -> str:
    words = (("at least", kind.min), ("at most", kind.max))
    return (
        ", ".join(f"{word} {value:g}" for word, value in words if value is not None).capitalize()
        + "."
    )


def _default(option: click.Option, context: click.Context) -> str:
    value = option.get_default(context)
    if (
        value is None
        or value is False
        or option.multiple
        or not isinstance(value, str | float | int)
    ):
        return ""
    if option.secondary_opts:
        return code(option.opts[0] if value else option.secondary_opts[0])
    return "" if value is True else code(re.sub(r"\.0$", "", str(value)))
