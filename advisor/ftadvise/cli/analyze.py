"""`ftadvise analyze`: the answer, from one log or many."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import click

from ftadvise.cli import messages, options, renderings, selecting, write_config
from ftadvise.cli.logs import answers, jobs_of
from ftadvise.cli.output import NARROWEST, look, verify, write
from ftadvise.cli.progress import Progress
from ftadvise.errors import FtadviseError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ftadvise.advice import Advice
    from ftadvise.cli.logs import Job
    from ftadvise.readers.folders.below import RunsBelow
    from ftadvise.run import Run


@click.command(name="analyze")
@click.argument("logs", metavar="LOG...", nargs=-1, required=True, type=click.Path())
@click.option(
    "--format",
    "form",
    type=click.Choice(tuple(renderings.FORMATS)),
    help="Format of the output.  [default: as the name of --output ends, else text]",
)
@click.option(
    "-o",
    "--output",
    type=click.Path(),
    help="Write to a file instead of stdout: .txt, .md, .html, .json, .jsonl, .sarif, .xml (junit).",
)
@options.runs
@click.option("--list", "listing", is_flag=True, help="List the runs in each LOG, and stop.")
@selecting.options
@click.option(
    "--price",
    type=click.FloatRange(min=0.0),
    callback=options.finite,
    metavar="PERCENT",
    help="What one more epoch has to gain, in percent of the loss.  [default: the shortest run "
    "within one standard error of the best]",
)
@click.option("--separate", is_flag=True, help="Answer for each log alone, not for all together.")
@click.option("--width", type=click.IntRange(min=NARROWEST), help="Columns of the text report.")
@click.option("--ascii", "ascii_only", is_flag=True, help="Use ASCII characters alone.")
@write_config.options
@click.pass_context
def command(
    ctx: click.Context,
    logs: tuple[str, ...],
    form: str | None,
    output: str | None,
    take: options.Take,
    listing: bool,
    selection: selecting.Selection,
    price: float | None,
    separate: bool,
    width: int | None,
    ascii_only: bool,
    target: write_config.Target,
) -> None:
    """Say what the next run should be, from one log or many.

    LOG is a training log (trainer_state.json, JSON or JSON lines, CSV, console output, ...), - for
    the standard input, or a folder with the logs of one run or of many. Of many runs in a folder
    the answer is about the one with a train and an eval loss that was written last; --list shows
    them, --run takes another and --all takes each. Several logs of one fine-tune are answered for
    together as well, where the format has room for it. For pipelines, concise (a line each), github
    (annotations), sarif and junit tell the findings alone. Exits with 0 when there is advice, with
    1 when --check found something, and with 2 when a log could not be read.
    """
    if logs.count("-") > 1:
        raise click.UsageError("the standard input can be read once", ctx)
    form = renderings.format_of(form, output)
    if listing:
        if selection.check or selection.narrows:
            raise click.UsageError("--list judges nothing: it goes without --check", ctx)
        from ftadvise.cli.list_runs import list_runs

        ctx.exit(list_runs(logs, take, form, output))
    rendering = renderings.FORMATS[form]
    if selection.narrows and not (selection.check or rendering.findings):
        raise click.UsageError(
            "--select and --ignore go with --check or a format of findings", ctx
        )
    selection.verify()
    share = None if price is None else price / 100.0
    jobs = jobs_of(logs, take, share, _aside if rendering.people else None)
    verify(output, [job.path for job in jobs])
    several = take.every or len(logs) > 1
    how = look(width, ascii_only, to_file=output is not None)
    asked = renderings.Asked(several, how, selection, _command_line(ctx))
    advised: list[Advice] | None = None
    if not (separate or rendering.streams) and (rendering.joint or target.path is not None):
        advised = []
    tally = _told(jobs, rendering, asked, advised, at_once=rendering.streams and output is None)
    joint = _together(advised, share) if advised and rendering.joint else None
    if not (target.diff and output is None):
        whole = rendering.whole(tally.pieces, joint, asked)
        if whole is not None:
            write(whole, output, utf8=rendering.utf8)
    if tally.failed and several:
        noun = "runs" if take.every else "logs"
        messages.say("error", f"{tally.failed} of {tally.count} {noun} gave no advice")
    if not tally.failed:
        write_config.put(target, advised or [], share)
    ctx.exit(2 if tally.failed else int(bool(selection.check and tally.found)))


@dataclass
class _Tally:
    """How many runs there were, how many gave no advice or have findings that count, the output."""

    count: int = 0
    failed: int = 0
    found: int = 0
    pieces: list[Any] = field(default_factory=list[Any])


def _told(
    jobs: Sequence[Job],
    rendering: renderings.Rendering,
    asked: renderings.Asked,
    advised: list[Advice] | None,
    at_once: bool,
) -> _Tally:
    """Answer for each run, and return what is to be written.

    Args:
        jobs: The runs.
        rendering: The format.
        asked: How the output should be.
        advised: Takes the answers; None where they need not be kept.
        at_once: Whether pieces are written as they come: there may be a thousand more to come.
    """
    tally = _Tally()
    aside = rendering.aside(asked.several) or messages.debugging.get()
    progress = Progress("analyzing", len(jobs))
    with contextlib.closing(answers(jobs, progress)) as told:
        for path, result in told:
            progress.clear()
            tally.count += 1
            if isinstance(result, FtadviseError):
                tally.failed += 1
                if aside:
                    messages.complain(result)
            else:
                tally.found += any(map(asked.selection.counts, result.findings))
                if advised is not None:
                    advised.append(result)
            piece = rendering.piece(path, result, asked)
            if at_once:
                write(piece)
            elif piece is not None:
                tally.pieces.append(piece)
    progress.clear()
    return tally


def _together(advised: list[Advice], price: float | None) -> renderings.Joint | None:
    """Return the answer from all logs of the same fine-tune as the last, where there are several."""
    if len(advised) < 2:
        return None
    from ftadvise.advising import advise
    from ftadvise.together import together

    found = together([one.run for one in advised])
    if len(found.runs) < 2:
        return None
    result = advise(found.runs[-1], past=(*found.runs[:-1], *found.others), price=price)
    return renderings.Joint(result, found, advised)


def _command_line(ctx: click.Context) -> str:
    """Return the command line, as a shell takes it."""
    import shlex

    return shlex.join(["ftadvise", *(ctx.find_root().obj or ())])


def _aside(path: str, below: RunsBelow, taken: Run) -> None:
    """Say on stderr what else is in a folder."""
    from ftadvise.cli import listing

    for line in listing.aside(path, below, taken):
        messages.plain(line)
