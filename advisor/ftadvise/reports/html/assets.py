"""Style and scripts of the page, and the policy that lets the browser run these and nothing else."""

from __future__ import annotations

import base64
import functools
import hashlib
from dataclasses import dataclass
from importlib.resources import files

_STYLES = ("uplot/uPlot.min.css", "report.css")
_SCRIPTS = ("chart.js", "marks.js", "touch.js", "page.js")
_LIBRARY = "uplot/uPlot.iife.min.js"
_LICENCE = "uplot/LICENSE"


@dataclass(frozen=True)
class Assets:
    """What the page carries along.

    Attributes:
        style: The style sheet.
        scripts: The scripts, in the order in which they run.
        policy: The content security policy that allows these alone.
    """

    style: str
    scripts: tuple[str, ...]
    policy: str


@functools.lru_cache(maxsize=1)
def assets() -> Assets:
    """Return the style sheet, the scripts and their policy."""
    style = "\n".join(_read(name) for name in _STYLES)
    library = f"/*\n{_read(_LICENCE)}*/\n{_read(_LIBRARY)}"
    ours = "\n".join(_read(name) for name in _SCRIPTS)
    scripts = (library, ours)
    policy = "; ".join(
        [
            "default-src 'none'",
            f"script-src {' '.join(digest(script) for script in scripts)}",
            f"style-src {digest(style)}",
            "img-src data:",
            "base-uri 'none'",
            "form-action 'none'",
        ]
    )
    return Assets(style, scripts, policy)


def digest(text: str) -> str:
    """Return the source expression of an inline script or style, as in CSP level 3."""
    found = base64.b64encode(hashlib.sha256(text.encode()).digest()).decode()
    return f"'sha256-{found}'"


def _read(name: str) -> str:
    return files("ftadvise.reports.html").joinpath("static", *name.split("/")).read_text("utf-8")
