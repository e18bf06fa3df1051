"""The formats of `ftadvise analyze`: how what became of the logs turns into text.

Each is an entry in `FORMATS` and two functions: a piece of each answer, the output of all pieces.
"""

from __future__ import annotations

import sys
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import click

from ftadvise.errors import FtadviseError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ftadvise.advice import Advice
    from ftadvise.cli.output import Look
    from ftadvise.cli.selecting import Selection
    from ftadvise.reports.run_findings import RunFindings
    from ftadvise.together import Together

    Answer = Advice | FtadviseError


@dataclass(frozen=True, eq=False)
class Asked:
    """How the output should be.

    Attributes:
        several: Whether it is about more than one run.
        look: How text should look where it goes.
        selection: Which findings it should tell.
        command: The command line.
    """

    several: bool
    look: Look
    selection: Selection
    command: str


@dataclass(frozen=True, eq=False)
class Joint:
    """The answer from all logs of one fine-tune.

    Attributes:
        advice: The answer.
        found: Which runs these are.
        each: The answers from each run alone.
    """

    advice: Advice
    found: Together
    each: Sequence[Advice]


Errors = Literal["aside", "inside", "inside of several", "both"]


@dataclass(frozen=True)
class Rendering:
    """One format.

    Attributes:
        piece: Makes what is kept of one log, by its path; None for nothing. A format that streams
            makes text, which is written at once.
        whole: Makes the text of all pieces; None where there is nothing to write.
        suffixes: How the names of its files end, for `--output` without `--format`.
        errors: Where the error of a log is told: on stderr, in the output, or both.
        joint: Whether it holds the answer from several logs together.
        people: Whether people read it beside stderr, where other runs of a folder are named.
        page: Whether it is of no use on a terminal.
        findings: Whether it tells findings alone, those that `--select` and `--ignore` choose.
        utf8: Whether it is UTF-8 whatever the locale: it says so, or its readers take nothing else.
        streams: Whether each piece is written as soon as it is there.
    """

    piece: Callable[[str, Answer, Asked], Any]
    whole: Callable[[list[Any], Joint | None, Asked], str | None]
    suffixes: tuple[str, ...]
    errors: Errors
    joint: bool = field(default=False, kw_only=True)
    people: bool = field(default=False, kw_only=True)
    page: bool = field(default=False, kw_only=True)
    findings: bool = field(default=False, kw_only=True)
    utf8: bool = field(default=False, kw_only=True)
    streams: bool = field(default=False, kw_only=True)

    def aside(self, several: bool) -> bool:
        """Say whether the error of a log goes to stderr."""
        alone = self.errors == "inside of several" and not several
        return alone or self.errors in ("aside", "both")


def _text_piece(path: str, result: Answer, asked: Asked) -> str | None:
    from ftadvise.reports import text
    from ftadvise.reports.style import Style

    if isinstance(result, FtadviseError):
        return None
    return text.report(result, asked.look.width, asked.look.ascii, Style(asked.look.colour))


def _text(pieces: list[str], joint: Joint | None, asked: Asked) -> str | None:
    look = asked.look
    if joint:
        from ftadvise.reports import joint as together
        from ftadvise.reports.style import Style

        style = Style(look.colour)
        pieces = [
            *pieces,
            together.text(joint.advice, joint.found, joint.each, look.width, look.ascii, style),
        ]
    rule = ("-" if look.ascii else "─") * look.width
    return f"\n\n{rule}\n\n".join(pieces) or None


def _markdown_piece(path: str, result: Answer, asked: Asked) -> str | None:
    from ftadvise.reports import markdown

    return None if isinstance(result, FtadviseError) else markdown.report(result)


def _markdown(pieces: list[str], joint: Joint | None, asked: Asked) -> str | None:
    if joint:
        from ftadvise.reports import joint as together

        pieces = [*pieces, together.markdown(joint.advice, joint.found, joint.each)]
    return "\n\n".join(pieces) or None


def _object(path: str, result: Answer, asked: Asked) -> dict[str, Any] | None:
    from ftadvise.reports import jsonout

    if not isinstance(result, FtadviseError):
        return result.to_dict()
    return jsonout.error_to_dict(path, result) if asked.several else None


def _json(pieces: list[dict[str, Any]], joint: Joint | None, asked: Asked) -> str | None:
    from ftadvise.reports import jsonout

    if not asked.several:
        return jsonout.dumps(pieces[0]) if pieces else None
    if joint:
        from ftadvise.reports import joint as together

        pieces = [*pieces, together.as_dict(joint.advice, joint.found, joint.each)]
    return jsonout.dumps(pieces)


def _line(path: str, result: Answer, asked: Asked) -> str:
    from ftadvise.reports import jsonout

    if isinstance(result, FtadviseError):
        return jsonout.dumps(jsonout.error_to_dict(path, result), one_line=True)
    return jsonout.dumps(result.to_dict(), one_line=True)


def _lines(pieces: list[str], joint: Joint | None, asked: Asked) -> str | None:
    return "\n".join(pieces) or None


def _answer(path: str, result: Answer, asked: Asked) -> tuple[str, Answer]:
    return path, result


def _html(pieces: list[tuple[str, Answer]], joint: Joint | None, asked: Asked) -> str:
    from ftadvise.reports.html import page

    return page(pieces, (joint.advice, joint.found) if joint else None, asked.command)


def _shown(path: str, result: Answer, asked: Asked) -> RunFindings:
    """Keep the findings alone: an answer with its fit is a hundred times as large."""
    from ftadvise.reports.run_findings import run_findings

    return run_findings(path, result, asked.selection.shows)


def _failing(path: str, result: Answer, asked: Asked) -> RunFindings:
    from ftadvise.reports.run_findings import run_findings

    return run_findings(path, result, asked.selection.counts)


def _concise(pieces: list[RunFindings], joint: Joint | None, asked: Asked) -> str:
    from ftadvise.reports import concise

    return concise.lines(pieces)


def _github(pieces: list[RunFindings], joint: Joint | None, asked: Asked) -> str:
    from ftadvise.reports import github

    return github.commands(pieces)


def _sarif(pieces: list[RunFindings], joint: Joint | None, asked: Asked) -> str:
    from ftadvise.reports import sarif

    return sarif.log(pieces)


def _junit(pieces: list[RunFindings], joint: Joint | None, asked: Asked) -> str:
    from ftadvise.reports import junit

    return junit.report(pieces)


FORMATS = {
    "text": Rendering(_text_piece, _text, (".txt",), "aside", joint=True, people=True),
    "json": Rendering(_object, _json, (".json",), "inside of several", joint=True),
    "jsonl": Rendering(_line, _lines, (".jsonl",), "inside", streams=True),
    "markdown": Rendering(
        _markdown_piece, _markdown, (".md",), "aside", joint=True, people=True, utf8=True
    ),
    "html": Rendering(
        _answer, _html, (".html", ".htm"), "both", joint=True, people=True, page=True, utf8=True
    ),
    "concise": Rendering(_shown, _concise, (), "inside", findings=True),
    "github": Rendering(_shown, _github, (), "inside", findings=True, utf8=True),
    "sarif": Rendering(_shown, _sarif, (".sarif", ".sarif.json"), "both", findings=True),
    "junit": Rendering(_failing, _junit, (".xml",), "both", findings=True, utf8=True),
}


def format_of(form: str | None, output: str | None) -> str:
    """Return the format that was asked for by name or by the suffix of the file to write.

    Raises:
        click.UsageError: If it is a page, and would go to a terminal.
    """
    if form is None:
        form = _by_suffix(output or "") or "text"
    if FORMATS[form].page and output in (None, "-") and sys.stdout and sys.stdout.isatty():
        raise click.UsageError(
            f"{form} is no use on a terminal: -o report{FORMATS[form].suffixes[0]} writes a file"
        )
    return form


def _by_suffix(name: str) -> str | None:
    ends = {suffix: form for form, one in FORMATS.items() for suffix in one.suffixes}
    found = [suffix for suffix in ends if name.lower().endswith(suffix)]
    return ends[max(found, key=len)] if found else None
