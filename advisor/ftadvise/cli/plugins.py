"""`ftadvise plugins`: what is installed, whether it keeps its promises, and how to begin one."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ftadvise.cli import completing, options
from ftadvise.cli.output import write

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ftadvise.plugins import Plugin
    from ftadvise.testing.whole_plugins import Outcome

_FORMAT = options.output_format("text", "json")
_TIMES = click.option("--times", is_flag=True, help="Show how long each took to be imported.")
# Those of ftadvise.authoring, which is too heavy to import for --help; a test compares them.
_KINDS = ("reader", "family", "law", "policy", "rule")


@click.group(name="plugins", invoke_without_command=True)
@_FORMAT
@_TIMES
@click.pass_context
def command(ctx: click.Context, form: str, times: bool) -> None:
    """List the plugins and what each of them adds; check one, or begin one of your own.

    To leave one out, set FTADVISE_BLOCK_PLUGINS=NAME; FTADVISE_NO_PLUGINS=1 leaves out all but
    what is built in.
    """
    if ctx.invoked_subcommand is None:
        _list(form, times)


@command.command(name="list")
@_FORMAT
@_TIMES
def list_(form: str, times: bool) -> None:
    """List the plugins and what each of them adds."""
    _list(form, times)


def _list(form: str, times: bool) -> None:
    from ftadvise import plugins
    from ftadvise.cli import plugin_lines

    registry = plugins.registry()
    gives = plugin_lines.all_gives(registry)
    entries = list(registry.plugins.values())
    if form == "text":
        write(plugin_lines.listed(entries, gives, times))
        return
    rows = [plugin_lines.as_dict(entry, gives.get(entry.name, {})) for entry in entries]
    _write_json("ftadvise.plugins/1", {"plugins": rows})


@command.command(name="new")
@click.argument("name")
@click.option("--kind", type=click.Choice(_KINDS), required=True, help="What it adds.")
@click.option(
    "--into",
    type=click.Path(path_type=Path),
    metavar="DIR",
    default=Path(),
    help="The folder in which its own is made.  [default: the one you are in]",
)
@_FORMAT
def new(name: str, kind: str, into: Path, form: str) -> None:
    """Write the package of a new plugin, called NAME.

    It is a working example of its kind, with tests, in a folder of its own, ftadvise-NAME. Nothing is
    written over.
    """
    from ftadvise.authoring import new_plugin
    from ftadvise.cli import plugin_lines

    made = new_plugin(name, kind, into)
    if form == "json":
        body = {
            "name": made.names.name,
            "kind": kind,
            "path": str(made.folder),
            "files": list(made.files),
        }
        _write_json("ftadvise.plugins.new/1", body)
        return
    write(plugin_lines.begun(made, kind))


@command.command(name="check")
@click.argument("plugin", metavar="[NAME|PATH]", required=False, shell_complete=completing.plugin)
@click.option(
    "--log",
    "logs",
    type=click.Path(path_type=Path, exists=True, dir_okay=False),
    metavar="FILE",
    multiple=True,
    help="A log that a reader of the plugin reads; may be given again.",
)
@_FORMAT
@click.pass_context
def check(ctx: click.Context, plugin: str | None, logs: tuple[Path, ...], form: str) -> None:
    """Check that plugins keep what ftadvise relies on.

    NAME is an installed plugin, PATH a module or a folder with a pyproject.toml; all that are
    installed are checked when neither is given. A reader is checked on a log in its format: what
    --log names, or the SAMPLE in its module.

    Exits with 1 when a promise is broken, with 2 when there is no such plugin.
    """
    from ftadvise.cli import plugin_lines

    broken = False
    rows: list[dict[str, Any]] = []
    for entry, outcomes in _checked(ctx, plugin, logs):
        broken = broken or any(one.problem for one in outcomes)
        if form == "json":
            rows.append(plugin_lines.checked_dict(entry, outcomes))
        else:
            write(plugin_lines.checked(entry, outcomes))
    if form == "json":
        _write_json("ftadvise.plugins.check/1", {"plugins": rows})
    else:
        write("A promise is broken." if broken else "All promises are kept.")
    ctx.exit(1 if broken else 0)


def _checked(
    ctx: click.Context, plugin: str | None, logs: tuple[Path, ...]
) -> Iterator[tuple[Plugin, list[Outcome]]]:
    """Check one plugin or all that are installed, each as soon as it is asked for."""
    from ftadvise import plugins
    from ftadvise.testing.importing import modules_at
    from ftadvise.testing.whole_plugins import Outcome, check_plugin

    taken = _own_commands(ctx)
    registry = plugins.registry()
    installed = {name: entry for name, entry in registry.plugins.items() if entry.third_party}
    if plugin is not None and plugin not in installed:
        if plugin in registry.plugins or not Path(plugin).exists():
            raise _unknown(plugin, list(installed))
        for name, module in modules_at(Path(plugin)).items():
            yield plugins.Plugin(name), check_plugin(module, name, logs, taken)
        return
    for name, entry in installed.items() if plugin is None else [(plugin, installed[plugin])]:
        module = registry.manager.get_plugin(name)
        if module is None:
            yield entry, [Outcome("plugin", name, f"not in use: {entry.error}")]
        else:
            yield entry, check_plugin(module, name, logs, taken)


def _unknown(name: str, installed: list[str]) -> Exception:
    from ftadvise.cli.messages import Unknown
    from ftadvise.text import nearest

    meant = nearest(name, installed)
    guess = f"Did you mean {meant}? " if meant else ""
    there = ", ".join(installed) or "none"
    return Unknown("plugin", name, f"{guess}Installed: {there}. A path works, too.")


def _own_commands(ctx: click.Context) -> set[str]:
    """Return the names of ftadvise's own commands, which no plugin can take."""
    main = ctx.find_root().command
    if not isinstance(main, click.Group):
        return set()
    return set(main.list_commands(ctx.find_root())) - set(main.commands)


def _write_json(schema: str, body: dict[str, Any]) -> None:
    from ftadvise.reports import jsonout

    write(jsonout.dumps({"schema": schema, **body}))
