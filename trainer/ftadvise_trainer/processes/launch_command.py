"""The options of `ftadvise train` for several processes, and what the command does with them.

Only click is imported here, as in `commands`.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Any

import click

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from ftadvise_trainer.config import Config
    from ftadvise_trainer.processes.launch import Launch

EMITTED = ("slurm", "skypilot")

_OPTIONS = (
    click.option(
        "--nproc",
        metavar="auto|N",
        help="Train in N processes on this host; auto takes one for each GPU.",
    ),
    click.option("--nnodes", metavar="N", type=int, default=1, help="Number of hosts."),
    click.option("--rdzv", metavar="HOST:PORT", help="Where the hosts meet: host 0, a free port."),
    click.option(
        "--node-rank", metavar="N", type=int, help="Which of the hosts this is, counted from 0."
    ),
    click.option(
        "--max-restarts",
        metavar="N",
        type=int,
        default=0,
        help="Start all processes again, from the newest checkpoint, when one is lost.",
    ),
    click.option(
        "--emit",
        type=click.Choice(EMITTED),
        help="Print a job for that scheduler that runs the same command, and stop.",
    ),
)


def launch_options(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add the options to a command, in their order."""
    for option in reversed(_OPTIONS):
        command = option(command)
    return command


def launch_of(given: Mapping[str, Any]) -> Launch:
    """Return what the options say."""
    from ftadvise_trainer.processes.launch import Launch

    names = ("nproc", "nnodes", "rdzv", "node_rank", "max_restarts")
    return Launch(**{name: given[name] for name in names})


def arguments_of(given: Mapping[str, Any]) -> list[str]:
    """Return the arguments of `ftadvise train` as they were given, without those of a launch."""
    made = [f"--set={one}" for one in given["overrides"]]
    made += [f"--from={one}" for one in given["logs"]]
    for name in ("output_dir", "remote_code"):
        if given[name] is not None:
            made.append(f"--{name.replace('_', '-')}={given[name]}")
    if given["auto"]:
        made.append("--auto=override" if given["override"] else "--auto")
    made += [f"--{name.replace('_', '-')}" for name in ("allow_changed", "quiet") if given[name]]
    if not given["resume"]:
        made.append("--no-resume")
    if given["yes"]:
        made.append("--yes")
    return [*made, "--", str(given["config"])]


def processes(config: Config, given: Mapping[str, Any]) -> int | None:
    """Return the number of processes to start on this host; None to train in this one."""
    wanted = launch_of(given)
    if not wanted.wanted:
        return None
    if "RANK" in os.environ:
        raise click.UsageError("--nproc starts processes, and torchrun has started this one")
    from ftadvise_trainer.processes.launch import processes

    count = processes(wanted, use_cpu=bool(config.training.more.get("use_cpu")))
    alone = count == wanted.nnodes == 1 and not wanted.max_restarts
    return None if alone else count


def launch(nproc: int, given: Mapping[str, Any]) -> int:
    """Train in several processes, say what nobody has said, and return the exit status."""
    from ftadvise_trainer.processes.launch import run

    # Whoever sits here has been asked; the processes have no terminal.
    asked = dict(given) | {"yes": given["remote_code"] is not None}
    ended = run(launch_of(given), nproc, arguments_of(asked))
    for line in ended.lines:
        click.echo(line, err=True)
    return ended.code


def emit(given: Mapping[str, Any]) -> None:
    """Print a job for a scheduler."""
    from ftadvise_trainer.processes.emit import job

    click.echo(job(given["emit"], launch_of(given), arguments_of(given)), nl=False)
