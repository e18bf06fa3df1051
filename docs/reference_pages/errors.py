"""What every error code means, read off the documentation of the errors."""

from __future__ import annotations

import importlib
from collections.abc import Iterator

import ftadvise
from ftadvise.cli.error_codes import meanings
from reference_pages.markdown import WRITTEN, fenced, page, prose

_LOADED = ("ftadvise.config.errors", "ftadvise.history.failures", "ftadvise_trainer.errors")
_ROOMS = {
    "FT40": "Logs and requests",
    "FT41": "Logs and requests",
    "FT42": "The history",
    "FT43": "Training YAMLs that advice is written into",
    "FT5": "Training",
    "FT9": "Plugins, rules and ftadvise itself",
}
_PLAIN = {"FT400": ["anything else, such as a report that cannot be written (FtadviseError)"]}
_ABOUT = """
An error ends in one line on stderr, with its code at the end. Where something can be
done about it, a second line says what.
"""
_LATER = """
In Python it is a `ftadvise.FtadviseError` or one of its children, with `code`, `message` and
`hint`. Codes do not change their meaning. `ftadvise rule FT401` prints what stands here; `--debug`
or `FTADVISE_DEBUG=1` shows where an error was raised. Codes from FT101 to FT399 are
[findings](README.md#findings), which are no errors. [Exit codes](exit-codes.md).
"""


def pages() -> dict[str, str]:
    """Return the page of the error codes by its path."""
    parts = [_ABOUT, fenced(_shown(), "console"), _LATER]
    current = ""
    for code, means in known():
        room = next(title for start, title in _ROOMS.items() if code.startswith(start))
        if room != current:
            parts.append(f"## {room}")
            current = room
        parts += [f"### {code}", "\n\n".join(_sentence(one) for one in means)]
    return {"errors.md": page("Error codes", WRITTEN, *parts)}


def _shown() -> str:
    """Return what a command says of a file that is not there."""
    name = "traning_metrics.json"
    try:
        ftadvise.read(name)
    except ftadvise.LogError as error:
        return f"$ ftadvise analyze {name}\nerror: {error.message} [{error.code}]"
    raise LookupError(f"there is a {name}")


def known() -> Iterator[tuple[str, list[str]]]:
    """Yield every error code with what it can mean."""
    for room in _LOADED:
        importlib.import_module(room)
    for number in range(400, 1000):
        means = meanings(f"FT{number}")
        if means:
            yield f"FT{number}", _PLAIN.get(f"FT{number}", means)


def _sentence(means: str) -> str:
    said, bracket, kind = means.rpartition(" (")
    if not bracket:
        return prose(f"{means[:1].upper()}{means[1:]}.")
    return prose(f"{said[:1].upper()}{said[1:]}. Raised as `{kind.rstrip(')')}`.")
