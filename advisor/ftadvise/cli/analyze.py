"""`ftadvise analyze`: the answer, from one log or many."""

from __future__ import annotations

import contextlib
from typing import TYPE_CHECKING, Any

import click

from ftadvise.cli import messages, options, write_config
from ftadvise.cli.logs import answers, jobs_of, runs_at
from ftadvise.cli.output import NARROWEST, Look, look, write
from ftadvise.cli.progress import Progress
from ftadvise.errors import FtadviseError

if TYPE_CHECKING:
    from ftadvise.advice import Advice
    from ftadvise.readers.folders.below import RunsBelow
    from ftadvise.run import Run

FORMATS = ("text", "json", "jsonl", "markdown")
_CHECKED = ("warning", "error")


@click.command(name="analyze")
@click.argument("logs", metavar="LOG...", nargs=-1, required=True, type=click.Path())
@click.option("--format", "form", type=click.Choice(FORMATS), default="text", show_default=True)
@click.option("-o", "--output", type=click.Path(), help="Write to a file instead of stdout.")
@options.runs
@click.option("--list", "listing", is_flag=True, help="List the runs in each LOG, and stop.")
@click.option("--check", is_flag=True, help="Exit with 1 when there is a warning or an error.")
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
    form: str,
    output: str | None,
    take: options.Take,
    listing: bool,
    check: bool,
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
    together as well, unless the format is jsonl. Exits with 0 when there is advice, 1 when --check
    found something, and 2 when a log could not be read.
    """
    if logs.count("-") > 1:
        raise click.UsageError("the standard input can be read once", ctx)
    if listing:
        ctx.exit(_list(logs, take, form, output))
    how = look(width, ascii_only, to_file=output is not None)
    share = None if price is None else price / 100.0
    jobs = jobs_of(logs, take, share, None if form in ("json", "jsonl") else _aside)
    several = take.every or len(logs) > 1
    errors_are_data = form == "jsonl" or (form == "json" and several)
    count = failed = found = 0
    pieces: list[Any] = []
    advised: list[Advice] = []
    progress = Progress("analyzing", len(jobs))
    with contextlib.closing(answers(jobs, progress)) as told:
        for path, result in told:
            progress.clear()
            count += 1
            if isinstance(result, FtadviseError):
                failed += 1
                if not errors_are_data or messages.debugging.get():
                    messages.complain(result)
                if not errors_are_data:
                    continue
            else:
                found += any(finding.level in _CHECKED for finding in result.findings)
                if form != "jsonl" and not separate:
                    advised.append(result)
            piece = _piece(path, result, form, how)
            if form == "jsonl" and output is None:
                write(piece)  # at once: there may be a thousand more to come
            else:
                pieces.append(piece)
    progress.clear()
    pieces += _together(advised, share, form, how)
    if pieces and not (target.diff and output is None):
        write(_joined(pieces, form, several, how), output)
    if failed and several:
        noun = "runs" if take.every else "logs"
        messages.say("error", f"{failed} of {count} {noun} gave no advice")
    if not failed:
        write_config.put(target, advised, share)
    ctx.exit(2 if failed else int(bool(check and found)))


def _aside(path: str, below: RunsBelow, taken: Run) -> None:
    """Say on stderr what else is in a folder."""
    from ftadvise.cli import listing

    for line in listing.aside(path, below, taken):
        messages.plain(line)


def _list(logs: tuple[str, ...], take: options.Take, form: str, output: str | None) -> int:
    """Write the runs in each log; return the exit code."""
    from ftadvise.cli import listing
    from ftadvise.reports import jsonout

    told: list[Any] = []
    failed = 0
    for path in logs:
        try:
            below = runs_at(path, take.wanted)
        except Exception as error:  # noqa: BLE001 - one bad log sinks none of the others
            failed += 1
            known = messages.as_error(error)
            if form in ("json", "jsonl"):
                told.append(jsonout.error_to_dict(path, known))
            else:
                messages.complain(known)
            continue
        if form in ("json", "jsonl"):
            told.append(listing.objects(path, below))
        else:
            told.append("\n".join(listing.table(path, below)))
    if form == "json":
        write(jsonout.dumps(told if len(logs) > 1 else told[0]), output)
    elif form == "jsonl":
        write("\n".join(jsonout.dumps(one, one_line=True) for one in told), output)
    elif told:
        write("\n\n".join(told), output)
    return 2 if failed else 0


def _together(advised: list[Advice], price: float | None, form: str, how: Look) -> list[Any]:
    """Return the answer from all logs of the same fine-tune as the last, where there are several."""
    if len(advised) < 2:
        return []
    from ftadvise.advising import advise
    from ftadvise.reports import joint
    from ftadvise.reports.style import Style
    from ftadvise.together import together

    found = together([one.run for one in advised])
    if len(found.runs) < 2:
        return []
    result = advise(found.runs[-1], past=(*found.runs[:-1], *found.others), price=price)
    if form == "json":
        return [joint.as_dict(result, found, advised)]
    if form == "markdown":
        return [joint.markdown(result, found, advised)]
    return [joint.text(result, found, advised, how.width, how.ascii, Style(how.colour))]


def _piece(path: str, result: Advice | FtadviseError, form: str, how: Look) -> Any:
    """Return what became of one log as it goes into the output: text, or an object for JSON."""
    from ftadvise.reports import jsonout, markdown, text
    from ftadvise.reports.style import Style

    if isinstance(result, FtadviseError):
        told = jsonout.error_to_dict(path, result)
    elif form == "text":
        return text.report(result, how.width, how.ascii, Style(how.colour))
    elif form == "markdown":
        return markdown.report(result)
    else:
        told = result.to_dict()
    return jsonout.dumps(told, one_line=True) if form == "jsonl" else told


def _joined(pieces: list[Any], form: str, several: bool, how: Look) -> str:
    """Return the output of all logs."""
    from ftadvise.reports import jsonout

    if form == "json":
        return jsonout.dumps(pieces if several else pieces[0])
    rule = ("-" if how.ascii else "─") * how.width
    return {"jsonl": "\n", "markdown": "\n\n", "text": f"\n\n{rule}\n\n"}[form].join(pieces)
