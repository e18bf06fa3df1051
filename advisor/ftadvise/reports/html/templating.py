"""The templates, and how values come into them: cleaned and escaped, whatever a log says."""

from __future__ import annotations

import functools
import json
from typing import TYPE_CHECKING, Any

from ftadvise.numbers import chance, count, percent, short
from ftadvise.reports import jsonout, words
from ftadvise.reports.html import svg
from ftadvise.reports.html.legend import signs, swatch
from ftadvise.reports.wrapping import GLUE

if TYPE_CHECKING:
    from jinja2 import Environment

    from ftadvise.reports.html.plot import Plot


@functools.lru_cache(maxsize=1)
def environment() -> Environment:
    """Return the environment of the templates; jinja2 is imported here, where a page is made."""
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    def harmless(value: Any) -> Any:
        """Clean whatever is put into the page; markup of our own is let through."""
        if not isinstance(value, str) or isinstance(value, Markup):
            return value
        return words.said(value).replace(" %", f"{GLUE}%")

    found = Environment(
        loader=PackageLoader("ftadvise.reports.html", "templates"),
        autoescape=True,
        undefined=StrictUndefined,
        finalize=harmless,
        trim_blocks=True,
        lstrip_blocks=True,
        keep_trailing_newline=False,
    )
    filters: dict[str, Any] = {
        "short": _short,
        "chance": chance,
        "share": percent,
        "count": count,
        "evidence": _evidence,
        "indented": _indented,
        "ours": Markup,
        "script": _script,
        "drawn": _drawn,
        "swatch": _swatch,
    }
    found.filters.update(filters)
    names: dict[str, Any] = {"signs": signs, "words": words}
    found.globals.update(names)
    return found


def embedded(value: Any) -> str:
    """Return JSON that can stand within a script element: nothing in it ends one."""
    text = jsonout.dumps(value, one_line=True)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")


def _script(value: Any) -> Any:
    from markupsafe import Markup

    return Markup(embedded(value))


def _drawn(plot: Plot) -> Any:
    from markupsafe import Markup

    return Markup(svg.draw(plot))


def _swatch(sign: str, role: str) -> Any:
    from markupsafe import Markup

    return Markup(swatch(sign, role))


def _indented(line: str) -> Any:
    """Return a line of code with the spaces it begins with, which cleaning takes off."""
    from markupsafe import Markup, escape

    return Markup(" " * (len(line) - len(line.lstrip(" ")))) + escape(words.said(line))


def _short(value: float | None) -> str:
    return "–" if value is None else short(value)


def _evidence(value: Any) -> str:
    """Return one value of a finding's evidence as people read it."""
    if isinstance(value, bool) or value is None:
        return {True: "yes", False: "no", None: "unknown"}[value]
    if isinstance(value, int | float):
        return short(float(value))
    return value if isinstance(value, str) else json.dumps(value, default=str)
