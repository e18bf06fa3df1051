"""`ftadvise analyze`: the answer, from one log or many."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ftadvise.cli import messages, write_config
from ftadvise.cli.options import finite
from ftadvise.cli.output import NARROWEST, Look, look, write
from ftadvise.errors import FtadviseError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ftadvise.advice import Advice
    from ftadvise.run import Run

FORMATS = ("text", "json", "jsonl", "markdown")
_CHECKED = ("warning", "error")


@click.command(name="analyze")
@click.argument("logs", metavar="LOG...", nargs=-1, required=True, type=click.Path())
@click.option("--format", "form", type=click.Choice(FORMATS), default="text", show_default=True)
@click.option("-o", "--output", type=click.Path(), help="Write to a file instead of stdout.")
@click.option("--run", "name", metavar="NAME", help="The run to take, of several in a file.")
@click.option("--all", "every", is_flag=True, help="Take every run in each file.")
@click.option("--check", is_flag=True, help="Exit with 1 when there is a warning or an error.")
@click.option(
    "--price",
    type=click.FloatRange(min=0.0),
    callback=finite,
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
    name: str | None,
    every: bool,
    check: bool,
    price: float | None,
    separate: bool,
    width: int | None,
    ascii_only: bool,
    target: write_config.Target,
) -> None:
    """Say what the next run should be, from one log or many.

    LOG is a training log (a trainer_state.json, a JSON or JSON-lines history, ...) or a folder
    that holds one. Several logs of one fine-tune are answered for together as well, unless the
    format is jsonl. Exits with 0 when there is advice, 1 when --check found something, and 2 when
    a log could not be read.
    """
    if name is not None and every:
        raise click.UsageError("--run and --all exclude each other", ctx)
    how = look(width, ascii_only, to_file=output is not None)
    several = every or len(logs) > 1
    errors_are_data = form == "jsonl" or (form == "json" and several)
    count = failed = found = 0
    pieces: list[Any] = []
    share = None if price is None else price / 100.0
    advised: list[Advice] = []
    for path, result in _outcomes(logs, name, every, share):
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
    pieces += _together(advised, share, form, how)
    if pieces and not (target.diff and output is None):
        write(_joined(pieces, form, several, how), output)
    if failed and several:
        noun = "runs" if every else "logs"
        messages.say("error", f"{failed} of {count} {noun} gave no advice")
    if not failed:
        write_config.put(target, advised, share)
    ctx.exit(2 if failed else int(bool(check and found)))


def _outcomes(
    logs: tuple[str, ...], name: str | None, every: bool, price: float | None
) -> Iterator[tuple[str, Advice | FtadviseError]]:
    """Read and judge one log after the other; what goes wrong with one stays with it."""
    for path in logs:
        try:
            runs = _runs(path, name, every)
        except Exception as error:  # noqa: BLE001 - one bad log sinks none of the others
            yield path, messages.as_error(error)
            continue
        for run in runs:
            yield path, _advice_or_error(run, price)


def _runs(path: str, name: str | None, every: bool) -> list[Run]:
    from ftadvise.readers import read, read_all

    return read_all(path) if every else [read(path, run=name)]


def _advice_or_error(run: Run, price: float | None) -> Advice | FtadviseError:
    from ftadvise.advising import advise

    try:
        return advise(run, price=price)
    except Exception as error:  # noqa: BLE001 - as above
        return messages.as_error(error)


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
