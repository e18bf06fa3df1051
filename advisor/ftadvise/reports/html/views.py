"""What stands on the page: which runs are shown in full, which in a row, and what is left out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from ftadvise.advice import SCHEMA
from ftadvise.errors import FtadviseError
from ftadvise.reports import joint as joint_words
from ftadvise.reports import jsonout, words
from ftadvise.reports.configuration import training_block
from ftadvise.reports.html.comparing import Compared, compared, differences, folder
from ftadvise.reports.html.lengths import by_length
from ftadvise.reports.html.next_run import next_run
from ftadvise.reports.html.overlay import overlay
from ftadvise.reports.html.section import Section, section

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ftadvise.advice import Advice
    from ftadvise.reports.html.plot import Plot
    from ftadvise.together import Together

MOST_ROWS = 500  # logs in the table
MOST_SECTIONS = 24  # runs that are shown in full beside others
MOST_CHARTS = 12  # of these with charts of their own
MOST_CURVES = 8  # in one chart: more cannot be told apart
MOST_DATA = 60  # logs whose advice is on the page as data
ALONE, BESIDE = 1000, 240  # points of a curve


@dataclass(frozen=True)
class Joint:
    """The answer from all logs of one fine-tune.

    Attributes:
        title: Its heading.
        which: Which logs, and why together.
        advice: The answer.
        keeping: Which checkpoint of all runs to keep.
        ways: How the next run may go; None where nothing can be drawn.
        lengths: The loss to expect by number of epochs; None as above.
        settings: Lines of YAML.
    """

    title: str
    which: str
    advice: Advice
    keeping: str
    ways: Plot | None
    lengths: Plot | None
    settings: list[str]


@dataclass(frozen=True)
class Document:
    """A whole page.

    Attributes:
        title: What was analysed.
        said: More about that: the folder that all logs lie in; empty where there is no more.
        alone: The run, where there is only one log and it gave advice.
        joint: The answer from all logs; None where there is none.
        rows: The logs, a row each; empty where one is shown alone.
        differences: In which settings they differ.
        overlay: Their curves in one chart; None where there are none.
        sections: Runs in full.
        left_out: What is not on the page, a sentence each.
        data: The answers as data, as `--format json` gives them.
        schema: The schema of that data.
    """

    title: str
    said: str
    alone: Section | None
    joint: Joint | None
    rows: list[Compared]
    differences: list[str]
    overlay: Plot | None
    sections: list[Section]
    left_out: list[str]
    data: Any
    schema: str


def document(
    answers: Sequence[tuple[str, Advice | FtadviseError]], joint: tuple[Advice, Together] | None
) -> Document:
    """Return what stands on the page of these answers."""
    if len(answers) == 1:
        return _of_one(*answers[0])
    titles = [_title(path, one) for path, one in answers]
    shared = folder(titles)
    named = [
        (p, title.removeprefix(shared), one)
        for title, (p, one) in zip(titles, answers, strict=True)
    ]
    advised = [(title, one) for _, title, one in named if not isinstance(one, FtadviseError)]
    failed = len(answers) - len(advised)
    sections = [
        section(i, title, one, BESIDE if i < MOST_CHARTS else 0)
        for i, (title, one) in enumerate(advised[:MOST_SECTIONS])
    ]
    anchors = {id(one.advice): one.id for one in sections}
    return Document(
        title=f"{len(answers)} logs" + (f" in {shared}" if shared else ""),
        said=f"{len(advised)} with advice, {failed} without" if failed else "",
        alone=None,
        joint=_joint(joint, [one for _, one in advised]) if joint else None,
        rows=[compared(*one, anchors.get(id(one[2]), "")) for one in named[:MOST_ROWS]],
        differences=differences([one for _, one in advised]),
        overlay=overlay(advised[:MOST_CURVES], BESIDE) if len(advised) > 1 else None,
        sections=sections,
        left_out=_left_out(len(answers), len(advised)),
        data=_all_data(answers, joint),
        schema=SCHEMA,
    )


def _of_one(path: str, answer: Advice | FtadviseError) -> Document:
    title, data = _title(path, answer), _data(path, answer)
    if isinstance(answer, FtadviseError):
        rows, alone, said = [compared(path, title, answer)], None, ""
    else:
        rows, alone, said = [], section(0, title, answer, ALONE), words.contents(answer)
    return Document(title, said, alone, None, rows, [], None, [], [], data, data["schema"])


def _title(path: str, answer: Advice | FtadviseError) -> str:
    return words.place(path) if isinstance(answer, FtadviseError) else words.title(answer)


def _joint(joint: tuple[Advice, Together], each: Sequence[Advice]) -> Joint:
    advice, found = joint
    return Joint(
        title=joint_words.title(found),
        which=joint_words.which(found),
        advice=advice,
        keeping=joint_words.keeping(advice, found, each),
        ways=next_run(advice),
        lengths=by_length(advice),
        settings=training_block(advice.recommendation),
    )


def _all_data(
    answers: Sequence[tuple[str, Advice | FtadviseError]], joint: tuple[Advice, Together] | None
) -> list[dict[str, Any]]:
    data = [_data(path, one) for path, one in answers[:MOST_DATA]]
    if joint:
        each = [one for _, one in answers if not isinstance(one, FtadviseError)]
        data.append(joint_words.as_dict(*joint, each))
    return data


def _data(path: str, answer: Advice | FtadviseError) -> dict[str, Any]:
    if isinstance(answer, FtadviseError):
        return jsonout.error_to_dict(path, answer)
    return answer.to_dict()


def _left_out(logs: int, advised: int) -> list[str]:
    """Return what is not on the page because there are so many logs."""
    told: list[str] = []
    if logs > MOST_ROWS:
        told.append(f"The table has the first {MOST_ROWS} of {logs} logs.")
    if advised > MOST_CURVES:
        told.append(f"The chart of all runs has the first {MOST_CURVES} of {advised}.")
    if advised > MOST_SECTIONS:
        told.append(f"The first {MOST_SECTIONS} of {advised} runs are shown in full.")
    if advised > MOST_CHARTS:
        told.append(f"The first {MOST_CHARTS} of them have charts of their own.")
    if logs > MOST_DATA:
        told.append(f"The data on this page are those of the first {MOST_DATA} logs.")
    if told:
        told.append("Left out to keep the page small; ftadvise analyze --format jsonl has it all.")
    return told
