"""`ftadvise replay`: what stop policies would have done on a log."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import click

from ftadvise.cli import completing, options
from ftadvise.cli.output import write

if TYPE_CHECKING:
    from ftadvise.policies import Replay

CUSTOMARY = (
    "transformers:patience=1",
    "transformers:patience=2",
    "transformers:patience=3",
    "transformers:patience=5",
    "keras",
    "lightning",
    "rises-while-train-falls",
)


@click.command(name="replay")
@click.argument("log", type=click.Path())
@click.option(
    "--policy",
    "specs",
    multiple=True,
    metavar="SPEC",
    shell_complete=completing.policy,
    help="A policy such as transformers:patience=3,threshold=0.001; may be given again. "
    "Without it, the customary ones.",
)
@options.reading
@options.output_format("text", "json")
def command(log: str, specs: tuple[str, ...], take: options.Take, form: str) -> None:
    """Show what stop policies would have done on LOG.

    For each policy: where it stops, which evaluation it keeps, how many evaluations that took,
    and its regret, which is how far the loss it keeps lies above the best one of the log.
    `ftadvise plugins` lists the policies.
    """
    from ftadvise.policies import replay

    run = take.one(log)
    replays = [replay(run, spec) for spec in specs or CUSTOMARY]
    if form == "text":
        write(_table(replays))
        return
    from ftadvise.reports import jsonout

    source = {"path": run.source.path, "format": run.source.format, "run": run.source.run}
    rows = [{k: jsonout.finite(v) for k, v in asdict(found).items()} for found in replays]
    write(jsonout.dumps({"schema": "ftadvise.replay/1", "source": source, "replays": rows}))


def _table(replays: list[Replay]) -> str:
    """Return the table, with a line that says what was judged."""
    from ftadvise.numbers import count
    from ftadvise.text import clean

    first = replays[0]
    judged = f"{count(first.evals_total, 'evaluation')} of the {first.series} loss"
    heads = ("policy", f"stops at {first.unit}", f"keeps {first.unit}", "loss", "evals", "regret")
    rows: list[tuple[str, ...]] = [heads, *(_row(found) for found in replays)]
    rows = [(clean(row[0]), *row[1:]) for row in rows]
    sizes = [max(len(row[i]) for row in rows) for i in range(len(heads))]
    lines = [
        "  ".join([f"{row[0]:<{sizes[0]}}", *_right(row[1:], sizes[1:])]).rstrip() for row in rows
    ]
    return "\n".join([f"Replayed on {judged}", "", *lines])


def _row(found: Replay) -> tuple[str, ...]:
    from ftadvise.numbers import percent, short

    stop = short(found.stop_epoch) if found.stopped else "never"
    spent = str(found.evals_spent)
    return (
        found.policy,
        stop,
        short(found.best_epoch),
        short(found.best_loss),
        spent,
        percent(found.regret),
    )


def _right(cells: Any, sizes: list[int]) -> list[str]:
    return [f"{cell:>{size}}" for cell, size in zip(cells, sizes, strict=True)]
