"""The answer from several logs of one fine-tune: which logs, why together, and what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ftadvise.numbers import count
from ftadvise.reports import words
from ftadvise.reports.markdown import escape, summary
from ftadvise.reports.style import PLAIN, Style
from ftadvise.reports.text import answer, in_ascii
from ftadvise.reports.wrapping import wrap

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ftadvise.advice import Advice
    from ftadvise.run import Run
    from ftadvise.together import Together

SCHEMA = "ftadvise.together/1"
MOST_NAMES = 8
_EPOCHS = 2  # where the reason for the number of epochs stands


def text(
    advice: Advice,
    found: Together,
    each: Sequence[Advice],
    width: int = 80,
    ascii_only: bool = False,
    style: Style = PLAIN,
) -> str:
    """Return the answer for the terminal.

    Args:
        advice: The answer from all runs together.
        found: Which runs these are.
        each: The answers from each run alone.
        width: Columns of a line.
        ascii_only: Use ASCII characters alone.
        style: Colours.
    """
    lines = [style.bold(title(found))]
    lines += [style.dim(line) for line in wrap(which(found), width)]
    lines += ["", *answer(advice, width, style, keeping(advice, found, each)), ""]
    lines += wrap(words.said(advice.reasons[_EPOCHS]), width)
    whole = "\n".join(lines)
    return in_ascii(whole) if ascii_only else whole


def markdown(advice: Advice, found: Together, each: Sequence[Advice]) -> str:
    """Return the answer as a part of a Markdown document."""
    parts = [
        f"# {title(found)}",
        escape(which(found)),
        summary(advice, keeping(advice, found, each)),
        escape(advice.reasons[_EPOCHS]),
    ]
    return "\n\n".join(parts)


def as_dict(advice: Advice, found: Together, each: Sequence[Advice]) -> dict[str, Any]:
    """Return the answer in the schema `ftadvise.together/1`.

    Its `keep` is the best checkpoint of all runs; that within `advice` is of the last run alone.
    """
    best = _best(found, each)
    return {
        "schema": SCHEMA,
        "same": [run.source.path for run in found.runs],
        "why": found.why,
        "others": [run.source.path for run in found.others],
        "keep": {
            "path": best.run.source.path,
            "epoch": best.keep.epoch,
            "eval_loss": best.keep.eval_loss,
            "expected_eval_loss": best.keep.expected_eval_loss,
        },
        "advice": advice.to_dict(),
    }


def _best(found: Together, each: Sequence[Advice]) -> Advice:
    """Return the answer from the run with the best checkpoint, luck taken off where it can be."""
    mine = [one for one in each if any(one.run is run for run in found.runs)]
    return min(mine, key=_level)


def _level(advice: Advice) -> float:
    expected = advice.keep.expected_eval_loss
    return advice.keep.eval_loss if expected is None else expected


def keeping(advice: Advice, found: Together, each: Sequence[Advice]) -> str:
    """Return which checkpoint of all runs to keep, and what training again should gain."""
    best, following = _best(found, each), words.chosen(advice)
    if best.run is found.runs[-1]:
        return words.keeping(advice)
    what = f"{words.checkpoint(best)} of {_names([best.run])}"
    now = _level(best)
    if following is None or advice.keep.expected_gain_percent is None or now <= 0:
        return what
    gains = [
        100.0 * (1.0 - loss / now) for loss in (following.median, following.low, following.high)
    ]
    return f"{what}; {words.gaining(*gains)}"


def title(found: Together) -> str:
    """Return the heading of the answer."""
    return f"Together: the next run, from {len(found.runs)} logs of one fine-tune"


def which(found: Together) -> str:
    """Return which logs the answer is from, why these, and which not."""
    same = f"{_names(found.runs)} share {found.why}."
    if not found.others:
        return same
    others = count(len(found.others), "other log")
    return f"{same} Not counted in, since they are of another fine-tune: {others} ({_names(found.others)})."


def _names(runs: Sequence[Run]) -> str:
    names = [words.place(run.source.path or run.source.run, 120) for run in runs]
    return ", ".join(names[:MOST_NAMES]) + (", ..." if len(names) > MOST_NAMES else "")
