"""`ftadvise history`: the runs that are remembered, and how good the advice on them was."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ftadvise.cli import messages, options
from ftadvise.cli.output import write

if TYPE_CHECKING:
    from ftadvise.history import Prediction
    from ftadvise.run import Run

_FORMAT = options.output_format("text", "json")
_SHOWN = 50


@click.group(name="history", invoke_without_command=True)
@click.pass_context
def command(ctx: click.Context) -> None:
    """Remember runs, so that the next advice can rest on them.

    All of it is in one SQLite file on this machine: $FTADVISE_HISTORY, or history.sqlite3 in the
    user's data folder. FTADVISE_HISTORY=off keeps none.
    """
    if ctx.invoked_subcommand is None:
        write(ctx.get_help())


@command.command(name="add")
@click.argument("logs", metavar="LOG...", nargs=-1, required=True, type=click.Path())
@options.runs
@click.option(
    "--advice",
    type=click.Path(),
    metavar="FILE",
    help="The advice that the run was trained on, from `analyze --format json`.",
)
@_FORMAT
@click.pass_context
def add(
    ctx: click.Context,
    logs: tuple[str, ...],
    take: options.Take,
    advice: str | None,
    form: str,
) -> None:
    """Remember the runs in LOG, a log or a folder that holds one.

    A run that is there already is brought up to date. Exits with 2 when a log could not be added.
    """
    if advice is not None and (len(logs) > 1 or take.every):
        raise click.UsageError("--advice is about one run: give one LOG", ctx)
    prediction = _prediction(advice) if advice is not None else None
    added: list[tuple[int, Run]] = []
    failed = 0
    for path in logs:
        try:
            found, unread = _added(path, take, prediction)
            added += found
            failed += unread
        except Exception as error:  # noqa: BLE001 - one bad log sinks none of the others
            messages.complain(error)
            failed += 1
    if form == "json":
        rows = [{"id": own, "path": run.source.path, "run": run.source.run} for own, run in added]
        _write_json({"runs": rows})
    elif added:
        write("\n".join(f"run {own}: {_label(run)}" for own, run in added))
    ctx.exit(2 if failed else 0)


def _added(
    path: str, take: options.Take, prediction: Prediction | None
) -> tuple[list[tuple[int, Run]], int]:
    """Remember the runs in a log; return them, and how many logs in it could not be read."""
    from ftadvise import history
    from ftadvise.cli.logs import runs_at

    unread = 0
    if take.every:
        below = runs_at(path, take.wanted)
        runs = [take.timed(one.run) for one in below.runs]
        for _, error in below.unread:
            messages.complain(error)
            unread += 1
    else:
        runs = [take.one(path)]
    found: list[tuple[int, Run]] = []
    for run in runs:
        # Of several runs in a folder each has its facts beside its own log.
        place = run.source.path if run.source.others else path
        found.append((history.add(run, history.facts_near(place), prediction), run))
    return found, unread


def _prediction(path: str) -> Prediction:
    import json
    from pathlib import Path

    from ftadvise.errors import UsageError
    from ftadvise.history import prediction_in
    from ftadvise.text import clean

    try:
        found = prediction_in(json.loads(Path(path).read_bytes()))
    except OSError as error:
        raise UsageError(f"{clean(path, 300)}: {error.strerror}") from None
    except (ValueError, RecursionError):
        found = None
    if found is None:
        raise UsageError(
            f"{clean(path, 300)}: foretells no eval loss",
            hint="It has to be what `ftadvise analyze LOG --format json` wrote, from an eval loss.",
        )
    return found


@command.command(name="list")
@click.option(
    "--limit",
    type=click.IntRange(min=1),
    default=_SHOWN,
    show_default=True,
    metavar="N",
    help="Runs to list at most.",
)
@_FORMAT
def list_(limit: int, form: str) -> None:
    """List what is remembered, the newest first."""
    from ftadvise import history
    from ftadvise.history import lines

    found = history.runs()
    if form == "json":
        _write_json({"runs": [lines.as_dict(entry) for entry in found[:limit]]})
        return
    if not found:
        write("Nothing is remembered yet: `ftadvise history add LOG` adds a run.")
        return
    table = lines.table(found[:limit])
    if len(found) > limit:
        table.append(f"... and {len(found) - limit} older: --limit shows more.")
    record = history.track_record(found)
    write("\n".join([*table, *(["", record] if record else [])]))


@command.command(name="show")
@click.argument("own", metavar="ID", type=int)
@_FORMAT
def show(own: int, form: str) -> None:
    """Show one run: what is known of it, and how good the advice was."""
    from ftadvise import history
    from ftadvise.history import lines

    entry = history.entry(own)
    if form == "json":
        _write_json({"run": lines.as_dict(entry)})
        return
    write("\n".join(lines.page(entry)))


@command.command(name="forget")
@click.argument("own", metavar="ID", type=int)
@_FORMAT
def forget(own: int, form: str) -> None:
    """Take a run out of the history. Its log stays where it is."""
    from ftadvise import history

    history.forget(own)
    if form == "json":
        _write_json({"forgotten": own})
    else:
        write(f"run {own} is forgotten")


@command.command(name="path")
@_FORMAT
def path_(form: str) -> None:
    """Print where the history lies."""
    from ftadvise import history

    found = str(history.default_path())
    if form == "json":
        _write_json({"path": found})
    else:
        write(found)


def _write_json(body: dict[str, Any]) -> None:
    from ftadvise.reports import jsonout

    write(jsonout.dumps({"schema": "ftadvise.history/1", **body}))


def _label(run: Run) -> str:
    from ftadvise.text import clean

    name = f" ({clean(run.source.run, 100)})" if run.source.run else ""
    return f"{clean(run.source.path, 300)}{name}"
