"""One run in full, as it stands on the page."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ftadvise.reports import words
from ftadvise.reports.configuration import training_block
from ftadvise.reports.html.lengths import by_length
from ftadvise.reports.html.next_run import next_run
from ftadvise.reports.html.stops import Stop, stops
from ftadvise.reports.html.this_run import this_run
from ftadvise.reports.progression import Row, progression

if TYPE_CHECKING:
    from ftadvise.advice import Advice
    from ftadvise.reports.html.plot import Plot

MOST_ROWS = 16  # of the curve as a table


@dataclass(frozen=True)
class Section:
    """One run, in full.

    Attributes:
        id: Anchor on the page.
        title: What was analysed.
        advice: The answer.
        chart: What was logged; None where there is too little, or too much on the page already.
        ways: How the next run may go; None as above.
        lengths: The loss to expect by number of epochs; None as above.
        stops: What patience 1, 3, 5 and the advised rule would have done.
        rows: The course of the losses in a few rows.
        settings: Lines of YAML.
        others: Other runs beside this one, in words.
        notes: What the reader had to assume.
    """

    id: str
    title: str
    advice: Advice
    chart: Plot | None
    ways: Plot | None
    lengths: Plot | None
    stops: tuple[Stop, ...]
    rows: list[Row]
    settings: list[str]
    others: str
    notes: list[str]


def section(place: int, title: str, advice: Advice, points: int) -> Section:
    """Return a run in full.

    Args:
        place: Its place on the page, from 0.
        title: What it is called there.
        advice: The answer.
        points: Of a curve; 0 for a section without charts.
    """
    told = stops(advice)
    return Section(
        id=f"run-{place + 1}",
        title=title,
        advice=advice,
        chart=this_run(advice, told, points) if points else None,
        ways=next_run(advice) if points else None,
        lengths=by_length(advice) if points else None,
        stops=told,
        rows=progression(advice, MOST_ROWS),
        settings=training_block(advice.recommendation),
        others=words.other_runs(advice),
        notes=[words.said(note) for note in advice.run.notes],
    )
