"""`ftadvise env`: what is installed, for the report of a bug."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ftadvise.cli import options
from ftadvise.cli.output import write

if TYPE_CHECKING:
    from collections.abc import Iterator


@click.command(name="env")
@click.option("--full", is_flag=True, help="Import torch too, and say which devices it sees.")
@options.output_format("text", "json")
def command(full: bool, form: str) -> None:
    """Say what is installed, to be pasted into the report of a bug.

    Versions are read from metadata: nothing heavy is imported without --full, and no value of a
    variable is told that ftadvise does not know. Your home folder is written as ~.
    """
    from ftadvise.environment import environment

    told = environment(full)
    if form == "json":
        from ftadvise.reports import jsonout

        write(jsonout.dumps(told))
        return
    rows = list(_rows(told))
    width = max(len(name) for name, _ in rows)
    write("\n".join(f"{name:<{width}}  {text}" for name, text in rows))


def _rows(told: dict[str, Any]) -> Iterator[tuple[str, str]]:
    """Yield the lines of the block, each with its name."""
    ours, python, system = told["ftadvise"], told["python"], told["system"]
    yield "ftadvise", f"{ours['version']} in {ours['path']}"
    yield "python", f"{python['version']} {python['implementation']}, {python['path']}"
    yield "system", f"{system['platform']}, {system['machine']}, {system['cpus']} CPUs"
    yield from ((name, version or "-") for name, version in told["packages"].items())
    driver = told["devices"]["driver"]
    yield "gpu", driver if isinstance(driver, str) else "; ".join(driver) or "none"
    yield from told["devices"]["visible"].items()
    if "torch" in told:
        yield "torch sees", ", ".join(f"{name}: {value}" for name, value in told["torch"].items())
    yield "plugins", _plugins(told["plugins"])
    yield from told["variables"].items()
    yield "history", _history(told["history"])


def _plugins(found: list[dict[str, str]] | str) -> str:
    if isinstance(found, str):
        return found
    broken = [f"{one['name']} ({one['error']})" for one in found if one["error"]]
    names = [f"{one['name']} {one['version']}".strip() for one in found if not one["error"]]
    return "; ".join([", ".join(names) or "none", *(f"not in use: {text}" for text in broken)])


def _history(found: dict[str, Any]) -> str:
    if not found["kept"]:
        return str(found.get("error") or "off")
    size = "not there yet" if found["bytes"] is None else f"{found['bytes']} bytes"
    return f"{found['path']} ({size})"
