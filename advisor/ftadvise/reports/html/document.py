"""Answers -> one HTML document: the same for the same answers, to the last byte."""

from __future__ import annotations

from typing import TYPE_CHECKING

import ftadvise
from ftadvise.errors import FtadviseError
from ftadvise.reports import words
from ftadvise.reports.html import views
from ftadvise.reports.html.assets import assets
from ftadvise.reports.html.templating import embedded, environment
from ftadvise.text import clean

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ftadvise.advice import Advice
    from ftadvise.together import Together


def page(
    answers: Sequence[tuple[str, Advice | FtadviseError]],
    joint: tuple[Advice, Together] | None = None,
    command: str = "",
) -> str:
    """Return the report as one HTML document that asks the network for nothing.

    Args:
        answers: The path of every log as it was given, and what became of it; at least one.
        joint: The answer from all logs of one fine-tune, and which logs these are.
        command: The command line that makes this page, to be shown; empty for none.

    Raises:
        ValueError: If there are no answers.
    """
    if not answers:
        raise ValueError("a page needs at least one answer")
    whole = views.document(answers, joint)
    found = assets()
    template = environment().get_template("page.html.j2")
    return template.render(
        page=whole,
        assets=found,
        command=clean(command, words.LONGEST),
        version=ftadvise.__version__,
        data=embedded(whole.data),
    )
