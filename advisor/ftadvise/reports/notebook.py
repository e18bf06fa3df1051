"""A result as a card in a notebook: the answer, the curves, and what it rests on folded away.

Its styles are attributes: they win over the tables of the notebook around it and reach nothing else,
and places that take styles out leave a heading, a table, a picture and lists. The picture is an SVG in
an `<img>`: places that do not trust a notebook take a plain `<svg>` apart and leave its words behind,
but show an image, and no script in an image is ever run. It has a ground of its own, so that it is as
readable in a dark notebook.
"""

from __future__ import annotations

import base64
import functools
from typing import TYPE_CHECKING

from ftadvise.advice import Advice
from ftadvise.fitting import Fit
from ftadvise.reports.html.svg import draw
from ftadvise.reports.notebook_cards import content
from ftadvise.reports.notebook_curves import chart_of
from ftadvise.run import Run

if TYPE_CHECKING:
    from jinja2 import Template

_GROUND = '<rect width="100%" height="100%" rx="6" fill="#ffffff"/>'


def html(thing: object) -> str:
    """Return the card of a run, fit, advice, forecast, decision or replay."""
    chart = chart_of(thing) if isinstance(thing, Run | Fit | Advice) else None
    image = said = ""
    if chart is not None:
        image, said = _image(draw(chart, 680, 300, legend=True)), chart.said
    return _template().render(content=content(thing), image=image, said=said)


def _image(svg: str) -> str:
    """Return a picture as a URL, on a ground of its own."""
    start, end, rest = svg.partition(">")
    return (
        "data:image/svg+xml;base64,"
        + base64.b64encode(f"{start}{end}{_GROUND}{rest}".encode()).decode()
    )


@functools.cache
def _template() -> Template:
    from jinja2 import Environment, PackageLoader, StrictUndefined

    loader = PackageLoader("ftadvise.reports", ".")
    made = Environment(loader=loader, autoescape=True, undefined=StrictUndefined)
    return made.get_template("notebook.html.j2")
