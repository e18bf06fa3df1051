"""Finds names with their numbers in a line of free text.

`Epoch 3/10 - train loss: 0.52`, `[Epoch 3] loss=0.52`, `Loss 0.52 (0.60)`, `loss: train=0.5
val=0.6` and their like all give pairs. One pass over the tokens of a line, linear in its length;
names are bounded to the last few words before the number.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field

from ftadvise.readers.series.keys import LOSSES
from ftadvise.readers.text_logs.names_in_text import (
    AXES,
    heading,
    is_about_another_moment,
    joined,
    named,
)
from ftadvise.readers.text_logs.text_meaning import is_split_word, split_of, words

MAX_WORDS = 6
MAX_PAIRS = 60
MAX_TOTAL = 1e12

_TOKEN = re.compile(
    r"(?P<number>(?<![\w.])[-+]?(?:\d{1,3}(?:,\d{3}){1,6}(?![\d,])|\d+)?"
    r"(?:(?<=\d)\.\d*|\.\d+|(?<=\d))(?:[eE][-+]?\d{1,4})?"
    r"|(?<![\w.])[-+]?(?:nan|NaN|NAN|inf|Inf|infinity|Infinity)(?!\w))"
    r"|(?P<word>[^\W\d]\w*(?:[./@'-]\w+)*)"
    r"|(?P<mark>-{1,3}>|=+>|→|[:=]|\s[-–—~]+\s|[|,;!?()\[\]{}<>/%#*\t])"
)
# Numbers in calls: tensor(0.5, device='cuda:0'), np.float64(0.5).
_CALLS = frozenset({"tensor", "torch.tensor", "np.float64", "np.float32", "array", "float"})
_INSIDE = frozenset("[(#/*<{")


@dataclass(frozen=True)
class Pair:
    """A name and the number behind it.

    Attributes:
        name: The words before the number, the split that the line says included.
        value: The number.
        total: What it counts to, in `3/10` or `3 of 10`.
        unit: What is glued to it, such as `ms` or `%`.
        role: What the name means: a role of `keys.meaning`, or "plan" for `num_epochs`.
    """

    name: str
    value: float
    total: float | None = None
    unit: str = ""
    role: str = "other"


@dataclass
class Reading:
    """What a line says.

    Attributes:
        line: The line.
        pairs: The pairs in order; those about another moment (the best, the saved) left out.
        loose: How many words belong to no pair; prose has many.
        about: Which data the line says it is about, "" where it does not.
    """

    line: str = ""
    pairs: list[Pair] = field(default_factory=list[Pair])
    loose: int = 0
    about: str = ""


def read_pairs(line: str) -> Reading:
    """Return the pairs in `line`, which is cut at a bounded length before."""
    return _Line(line).run()


def number_of(text: str) -> float:
    """Return a number as a log writes it: thousands with commas, nan, inf."""
    return float(text.replace(",", ""))


class _Line:
    """The state while the tokens of a line are read."""

    def __init__(self, line: str) -> None:
        self.line = line
        self.reading = Reading(line)
        self.tokens = list(_TOKEN.finditer(line))
        self.name: list[str] = []
        self.pending: tuple[str, ...] = ()  # a name whose number comes after that of its step
        self.split = ""
        self.measure: tuple[str, ...] = ()
        self.separated = self.call = False
        self.another_moment = self.has_axis = False

    def run(self) -> Reading:
        position = 0
        while position < len(self.tokens) and len(self.reading.pairs) < MAX_PAIRS:
            token = self.tokens[position]
            if token.lastgroup == "number":
                position = self._number(position)
                continue
            if token.lastgroup == "word":
                self._word(token.group())
            else:
                self._mark(token.group().strip() or token.group())
            position += 1
        self._segment()
        self.reading.about = self.split
        return self.reading

    def _word(self, word: str) -> None:
        if word.lower() in _CALLS and (self.separated or not self.name):
            self.call = True
            return
        if self.separated:  # "Test set: average loss 0.5": what stands before names no number
            self._segment()
        self.name.append(word.strip("'"))

    def _mark(self, mark: str) -> None:
        if mark in (":", "=") or (mark.endswith((">", "→")) and self.name):
            self.separated = bool(self.name or self.pending)
        elif mark == "(" and self.call:
            self.call = False
        elif mark not in _INSIDE and not (mark in (")", "%") and self.name):
            self._segment()

    def _segment(self) -> None:
        """End a part of the line that has no number; it may say what the rest is about."""
        name, pending = tuple(self.name), self.pending
        self._clear()
        if pending and not name:  # "validation loss at iteration 100 | lm loss value: 8.1"
            self.split = named(pending).split
        if not name:
            return
        if not self.has_axis and is_about_another_moment(name):
            self.another_moment = True
        split = heading(name)
        if split:
            self.split = split
            return
        self.measure = tuple(
            word for part in name for word in words(part) if not is_split_word(word)
        )[-3:]
        self.reading.loose += len(name)

    def _clear(self) -> None:
        self.name, self.pending, self.separated, self.call = [], (), False, False

    def _number(self, position: int) -> int:
        """Take the number at `position`; return the position behind all that belongs to it."""
        token = self.tokens[position]
        value = number_of(token.group())
        total, unit, after = self._behind(position)
        both = joined(tuple(self.name)) if self.name and not self.pending else None
        if both is not None:
            self._emit(both[1], value, total, unit)
            self._clear()
            self.pending = both[0][-MAX_WORDS:]
            return after
        self.reading.loose += max(0, len(self.name) - MAX_WORDS)
        name = self.pending or tuple(self.name[-MAX_WORDS:])
        if not name and total is not None:
            # "Acc: 45% (22500/50000)" counts hits; "Epoch 3 (120/500)" counts batches.
            hits = self.line[: token.start()].rstrip().endswith("(")
            if not hits or (self.reading.pairs and self.reading.pairs[-1].role in AXES):
                name = ("",)
        elif not name and unit and named((unit,)).role in AXES:  # "3epoch"
            name, unit = (unit,), ""
        if name:
            self._emit(name, value, total, unit)
        self._clear()
        return after

    def _emit(self, name: tuple[str, ...], value: float, total: float | None, unit: str) -> None:
        if self.another_moment:
            return
        only = name[0].lower() if len(name) == 1 else ""
        if only and is_split_word(only):
            if not self.measure or unit:  # "Validation: 100%|...": a bar
                self.split = only
                return
            name = (*name, *self.measure)
        found = named(name)
        part, role = found.part, found.role
        self.reading.loose += found.loose
        if role in AXES:
            self.has_axis = True
            self.split = found.split or self.split
        elif role == "other" and found.another_moment and not self.has_axis:
            self.another_moment = True
        self.measure = found.measure or self.measure
        if role in LOSSES and self.split and not split_of(part):
            part = f"{self.split} {part}"
        self.reading.pairs.append(Pair(part, value, total, unit, role))

    def _behind(self, position: int) -> tuple[float | None, str, int]:
        """Return the total and the unit behind a number, and the position after them."""
        tokens = self.tokens
        total: float | None = None
        after, end = position + 1, tokens[position].end()
        if after + 1 < len(tokens):
            joint, second = tokens[after].group(), tokens[after + 1]
            if joint in ("/", "of") and second.lastgroup == "number":
                whole = second.group().replace(",", "").rstrip(".").isdigit()
                if not (whole and tokens[position].group().isdigit()):
                    return None, "/", after + 2
                total, end = number_of(second.group()), second.end()
                total = total if total < MAX_TOTAL else None
                after += 2
        unit = ""
        if after < len(tokens) and tokens[after].start() == end:
            glued = tokens[after]
            if glued.lastgroup == "word" or glued.group() == "%":
                unit = glued.group()
                after += 1
        elif end < len(self.line) and self.line[end] == "_":
            unit = "_"
        return total, unit, after
