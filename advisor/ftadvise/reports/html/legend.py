"""The legend of a chart: a sign, in the colour of what it stands for, and a name."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ftadvise.reports.html.palette import colour

if TYPE_CHECKING:
    from ftadvise.reports.html.plot import Plot

STROKES = {"line": 2.2, "dash": 1.6, "thin": 1.2}  # pixels


def signs(plot: Plot) -> list[tuple[str, str, str]]:
    """Return the entries of the legend: sign, role and name."""
    found = [(one.kind, one.role, one.name) for one in plot.lines if one.x.size]
    found += [("band", one.role, one.name) for one in plot.bands]
    marks = [("dot", one.role, one.name) for one in plot.dots]
    marks += [("upright", one.role, one.name) for one in plot.uprights]
    named = {name: (sign, role, name) for sign, role, name in reversed(marks)}
    return found + list(reversed(named.values()))


def swatch(sign: str, role: str) -> str:
    """Return a sign of the legend, within 22 by 10 pixels."""
    ink = colour(role)
    if sign == "band":
        return f'<rect width="22" height="10" fill="{ink}" fill-opacity="0.2" class="f-{role}"/>'
    if sign in ("points", "dot"):
        radius = 3.5 if sign == "points" else 5
        return f'<circle cx="11" cy="5" r="{radius:g}" fill="{ink}" class="f-{role}"/>'
    if sign == "upright":
        return (
            f'<path d="M11 -1v12" stroke="{ink}" stroke-width="1.6" stroke-dasharray="3 2" '
            f'class="s-{role}"/>'
        )
    dash = ' stroke-dasharray="7 4"' if sign == "dash" else ""
    wide = STROKES[sign]
    return f'<path d="M0 5h22" stroke="{ink}" stroke-width="{wide:g}"{dash} class="s-{role}"/>'
