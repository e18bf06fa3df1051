"""`ftadvise analyze --list`: the runs in each log."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import click

from ftadvise.cli import listing, messages
from ftadvise.cli.logs import runs_at
from ftadvise.cli.output import write

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ftadvise.cli.options import Take

_FORMATS = ("text", "markdown", "json", "jsonl")


def list_runs(logs: Sequence[str], take: Take, form: str, output: str | None) -> int:
    """Write the runs in each log.

    Args:
        logs: Logs and folders.
        take: What is to be taken of them.
        form: The format.
        output: The file to write; None for stdout.

    Returns:
        The exit code: 2 where a log could not be read.

    Raises:
        click.UsageError: If the format has no list of runs.
    """
    from ftadvise.reports import jsonout

    if form not in _FORMATS:
        raise click.UsageError(f"--list is told as {', '.join(_FORMATS)}, not as {form}")
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
