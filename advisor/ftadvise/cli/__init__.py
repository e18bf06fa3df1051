"""The command line: one file per command, each loaded when it is called."""

from __future__ import annotations

import click

import ftadvise
from ftadvise.cli.group import LazyGroup

_COMMANDS = {
    "analyze": "Say what the next run should be, from one log or many.",
    "forecast": "Say what the eval loss will be at an epoch.",
    "replay": "Show what stop policies would have done on a log.",
    "watch": "Follow a run in progress, and say whether to stop it.",
    "export": "Print the advice as settings of another trainer.",
    "history": "Remember runs, and say how good the advice on them was.",
    "rule": "Explain the code of a finding or an error.",
    "plugins": "List the plugins, check one, or begin your own.",
    "env": "Say what is installed, for the report of a bug.",
    "completion": "Print the script that lets a shell complete our words.",
}


@click.group(
    name="ftadvise",
    cls=LazyGroup,
    lazy=_COMMANDS,
    context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100},
    epilog="Start with `ftadvise analyze LOG`; `ftadvise COMMAND --help` has the options.",
)
@click.version_option(ftadvise.__version__, prog_name="ftadvise", message="%(prog)s %(version)s")
@click.option("--debug", is_flag=True, expose_value=False, help="Show the traceback of an error.")
def main() -> None:
    """Read training logs and say what the next fine-tune should be."""
