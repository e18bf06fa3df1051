"""`ftadvise analyze --write-config`: the advice goes into a training YAML."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ftadvise.cli import messages
from ftadvise.cli.output import write
from ftadvise.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ftadvise.advice import Advice
    from ftadvise.config.layouts import Layout
    from ftadvise.config.patching import Patch

_F = TypeVar("_F", bound="Callable[..., Any]")

# As in ftadvise.config.layouts, which is too heavy to import for --help; a test compares them.
TOOLS = ("ftadvise", "hf", "axolotl", "llama-factory")


@dataclass(frozen=True)
class Target:
    """What is to be done with a training YAML.

    Attributes:
        path: The file; None when nothing is to be done.
        diff: Whether to print the change instead of making it.
        tool: Whose YAML it is; None to find out.
    """

    path: str | None
    diff: bool
    tool: str | None


def options(command: _F) -> _F:
    """Add the options of a command that can write its advice into a file, as `target`."""
    from functools import wraps

    @click.option(
        "--write-config",
        "config",
        type=click.Path(),
        metavar="YAML",
        help="Put the advice into this training YAML; only the values that differ are changed.",
    )
    @click.option(
        "--diff", is_flag=True, help="With --write-config: print the change, write nothing."
    )
    @click.option(
        "--to",
        "tool",
        type=click.Choice(TOOLS),
        help="The tool that YAML is for.  [default: found out from its keys]",
    )
    @wraps(command)
    def with_target(
        *args: Any, config: str | None, diff: bool, tool: str | None, **others: Any
    ) -> Any:
        if config is None and (diff or tool):
            raise click.UsageError("--diff and --to go with --write-config")
        return command(*args, target=Target(config, diff, tool), **others)

    return with_target  # type: ignore[return-value]


def put(target: Target, advised: Sequence[Advice], price: float | None) -> None:
    """Write the advice into the YAML, or print the diff, and say on stderr what changed.

    Args:
        target: The file and what to do with it.
        advised: The advice of each log, in their order.
        price: As in `advise`, for an answer from several logs together.

    Raises:
        UsageError: FT411 if there is not one answer to write.
        ConfigFileError: FT431 to FT438; the file is as it was then.
    """
    if target.path is None:
        return
    from ftadvise.config import files, layouts
    from ftadvise.config.patching import patch
    from ftadvise.config.tree import parse

    advice = _one(advised, price)
    file = files.read(target.path)
    root = parse(file.text)
    tool = target.tool or layouts.detect(root)
    layout = layouts.layout(tool, advice.recommendation)
    patched = patch(file.text, layout.section, layout.settings)
    if target.diff:
        from ftadvise.config.diff import unified

        if patched.changes:
            write(unified(target.path, file.text, patched.text))
    elif patched.changes:
        files.replace(file, patched.text)
    _say(target, layout, patched)
    for note in (*layout.notes, layouts.overruling(root, layout.section), _steps(advice)):
        if note:
            messages.say("note", note)


def _one(advised: Sequence[Advice], price: float | None) -> Advice:
    if not advised:
        raise UsageError(
            "there is no advice to write",
            hint="--write-config takes no --separate and no --format jsonl.",
        )
    if len(advised) == 1:
        return advised[0]
    from ftadvise.cli.one_answer import one_answer

    return one_answer([advice.run for advice in advised], price)


def _say(target: Target, layout: Layout, patched: Patch) -> None:
    from ftadvise.text import clean

    name = clean(target.path, 300)
    done = "would change" if target.diff else "changed"
    if not patched.changes:
        messages.say("config", f"{name} is as advised already ({layout.tool})")
    else:
        messages.say("config", f"{done} {name} ({layout.tool})")
    for change in patched.changes:
        key, new = clean(change.key, 80), clean(change.new, 80)
        old = "(not there)" if change.old is None else clean(change.old, 80) or "(empty)"
        messages.say("config", f"  {key}: {old} -> {new}")


def _steps(advice: Advice) -> str | None:
    """Say what numbers of steps rest on: another batch size or data set has other epochs."""
    from ftadvise.numbers import short

    every, steps = advice.recommendation.eval_steps, advice.observed.steps_per_epoch
    if not every or not steps:
        return None
    return f"{every} steps between evaluations are for epochs of {short(steps)}, as in the log"
