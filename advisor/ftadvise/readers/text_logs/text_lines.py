"""Collects the losses in the lines of a free text log, with the epochs and steps around them."""

from __future__ import annotations

import math
import re
from typing import TYPE_CHECKING

from ftadvise.readers.series.keys import LOSSES
from ftadvise.readers.text_logs.other_words import LOSS_ABROAD
from ftadvise.readers.text_logs.pairs_in_text import Pair, Reading, read_pairs
from ftadvise.readers.text_logs.text_counts import BAR, Counting
from ftadvise.readers.text_logs.text_meaning import split_of
from ftadvise.readers.text_logs.text_series import Collected
from ftadvise.readers.wanted import ANY, Wanted

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ftadvise.readers.text_logs.text_counts import Counts

MAX_LOOSE = 9  # words in a line that belong to no number; prose has more
MAX_HEADING = 80  # characters
MAX_OTHER = 1000
_UNKNOWN = math.nan

HINT = re.compile(
    r"loss|nll|elbo|xent|entropy|mse|bce|epoch|step|iter|update|batch|\bep\b|round"
    r"|val|train|test|dev\b|eval|\d/\d|^\s{0,40}(?:def|class|return|import|assert|self\.)\b"
    rf"|{LOSS_ABROAD}|[轮輪]|エポック|에폭|에포크|эпох|[eé]po",
    re.IGNORECASE,
)
"""What a line must have that can say something about a loss, or that it is source code."""

_CODE = re.compile(
    r"print[fl]?\w{0,3}\s?\(|\bf[\"']|\{[\w.\[\]'\"() /*+-]{0,60}(?::[^{}\s]{0,12})?\}|[^=<>!]==[^=]"
    r"|[-+*/]=\s|^\s{0,40}(?:def|class|import|from|return|elif|else|while|with|assert|try|except"
    r"|raise|const|var|let|static|void|float|double|int|self\.|#include)\b|\w\[['\"\w:]{1,40}\]\s?="
    r"|[A-Za-z_]\.[A-Za-z_]\w{0,40}\(|;\s*$|=\s{0,3}(?:None|True|False)\b|^\s{0,20}(?:\$|\+|>>>) "
    r"|^\s{0,40}[bfr]{0,2}(?:\"[^\"]{1,2000}\"|'[^']{1,2000}')\s?[,)\]]{1,3}\s*$"
)
_SOURCE = re.compile(
    r"\s{0,40}(?:(?:async )?def \w{1,80}\(|class \w{1,80}[:(]|return\b|import [\w.]{1,80}|from [\w.]{1,80} "
    r"import |assert |self\.\w{1,80})"
)
# "[1,  2000] loss: 2.198" of the PyTorch tutorial.
_EPOCH_AND_BATCH = re.compile(r"^\[\s{0,8}(\d{1,9}),\s{0,8}(\d{1,12})\](?=\s{0,8}[A-Za-z])")
# "[100]  train-rmse:0.5" of boosters; a number alone in front of other counters is a rank.
_ROUND = re.compile(r"^(?:#{1,6}\s{1,4})?\[\s{0,8}(\d{1,12})\](?=\s{1,8}[A-Za-z])")
_COUNTED = re.compile(r"\b(?:step|iter|epoch|ep|batch|update|round)|\d/\d", re.IGNORECASE)
# "第 3 轮" and "3번째 스텝의".
_NTH = re.compile(r"第\s{0,4}(?P<n>\d{1,9})\s{0,4}(?P<axis>轮|輪|步|个?\s?epoch)", re.IGNORECASE)
_NTH_KOREAN = re.compile(
    r"(?P<n>\d{1,9})\s?번째\s{0,4}(?P<axis>스텝|에폭|에포크|반복|배치|epoch|step)의?",
    re.IGNORECASE,
)
# A bar of unknown length: "Epoch 0: |  | 17/? [00:10<00:00, train_loss=0.5]".
_ENDLESS = re.compile(r"(?<![\w.])(\d{1,12})/\?(?= \[)")
# The blobs of Caffe: "Test net output #1: loss = 0.5".
_ORDINAL = re.compile(r" #\d{1,6}(?=: )")
# An Estimator of TensorFlow 1 prints its evaluations like this.
_ESTIMATOR = re.compile(r"^.{0,40}Saving dict for global step(?= \d)")
# What stands at the end of an epoch, not above its lines.
_CLOSING = re.compile(
    r"\b(?:complete|completed|done|end|ended|finish|finished|took|summary|elapsed|results?)\b",
    re.IGNORECASE,
)


def collect(lines: Iterable[str], wanted: Wanted = ANY) -> Collected:
    """Return every series in `lines` with a meaning, or with a name that is wanted."""
    state = _Context(wanted)
    for line in lines:
        state.line(line)
    state.found.epochs, state.found.steps = state.counting.epochs, state.counting.steps
    return state.found


def _said_plainly(line: str) -> str:
    """Return `line` with the counters that some tools write without a word spelt out."""
    if line.startswith(("[", "#")):
        line = _EPOCH_AND_BATCH.sub(r"epoch \1 batch \2 ", line)
        if not _COUNTED.search(line):
            line = _ROUND.sub(r"iteration \1 ", line)
    elif "Saving dict" in line:
        line = _ESTIMATOR.sub("eval step", line)
    if "第" in line or "번째" in line:
        nth = _NTH if "第" in line else _NTH_KOREAN
        line = nth.sub(r" \g<axis> \g<n> ", line)
    if "/?" in line:
        line = _ENDLESS.sub(r"batch \1", line)
    return _ORDINAL.sub("", line) if " #" in line else line


class _Context:
    """What the lines so far say about the next one."""

    def __init__(self, wanted: Wanted) -> None:
        self.wanted = wanted
        self.found = Collected()
        self.counting = Counting()
        self.epoch = self.heading = self.step = self.batch = self.batches = _UNKNOWN
        self.split = ""
        self.source = 0  # lines of source code so far

    def line(self, line: str) -> None:
        if line.startswith("wandb:"):  # the last values, after the run
            return
        line = _said_plainly(line)
        if _SOURCE.match(line):
            self.source += 1
            return
        reading = read_pairs(line)
        losses = [pair for pair in reading.pairs if self._is_loss(pair)]
        if not reading.pairs:
            if reading.about and len(line) < MAX_HEADING:
                self.split = reading.about
        elif (losses or "loss" in line.lower()) and _is_no_log(reading):
            self.found.refused += 1
        else:
            counts = self.counting.of(reading, knows_epoch=not math.isnan(self.epoch))
            self._follow(counts, losses, reading)
            if losses:
                self._take(counts, reading)
            elif counts.names():
                self._take_others(reading)

    def _is_loss(self, pair: Pair) -> bool:
        return pair.role in LOSSES or self.wanted.names(pair.name)

    def _follow(self, counts: Counts, losses: list[Pair], reading: Reading) -> None:
        """Carry what this line counts over to the lines after it."""
        if counts.names() and not self._evaluates(counts):
            self.split = ""
        if counts.epoch is not None:
            if counts.epoch.value < self.epoch:
                self.step = _UNKNOWN
            if counts.epoch.value != self.epoch:
                self.batch = self.batches = _UNKNOWN
            self.epoch = counts.epoch.value
            if not losses and not _CLOSING.search(reading.line):
                self.heading = self.epoch
        if counts.step is not None:
            self.step = counts.step.value
            self.batches = counts.step.total or self.batches
        only_eval = all(pair.role == "eval" for pair in losses) and (
            bool(losses) or split_of(reading.about) == "eval"
        )
        if counts.batch is not None and not only_eval:
            self.batch = counts.batch.value
            self.batches = counts.batch.total or _UNKNOWN

    def _evaluates(self, counts: Counts) -> bool:
        """Whether a line below `Testing:` is about it: it counts what the line above it did."""
        same = counts.epoch is not None and counts.epoch.value == self.epoch
        return split_of(self.split) == "eval" and counts.names() == ("epoch",) and same

    def _take(self, counts: Counts, reading: Reading) -> None:
        """Take the losses and learning rates of a line."""
        moments = self.found.moments
        place = len(moments.epoch)
        # A line that counts steps lies in the epoch of the heading above it, if there is one.
        counted = counts.epoch is None and (counts.step or counts.batch) is not None
        moments.epoch.append(self.heading if counted else self.epoch)
        moments.step.append(self.step)
        moments.batch.append(self.batch)
        moments.batches.append(self.batches)
        moments.own.append(counts.epoch is not None)
        moments.source.append(self.source)
        in_bar = BAR in reading.line
        if counts.batch is not None and not counts.batch.name and not in_bar:
            # [64/60000] counts samples as often as batches; [0][10/391] counts batches.
            self.found.counts_batches &= "][" in reading.line
        names = counts.names()
        for pair in reading.pairs:
            kept = pair.role == "rate" or self._is_loss(pair)
            if kept and not pair.unit and pair.total is None:
                self._point(pair, names, place, in_bar)

    def _point(self, pair: Pair, counts: tuple[str, ...], place: int, in_bar: bool) -> None:
        name = pair.name
        if self.split and pair.role == "train" and not split_of(name):
            name = f"{self.split} {name}"
        series = self.found.series_of(name, counts)
        if series is None:
            return
        if series.lines and series.lines[-1] == place:
            return  # twice on one line: the first is the current value
        if in_bar and series.means.role == "eval" and pair.value == (series.values or [None])[-1]:
            return  # a progress bar shows the last evaluation until the next
        series.lines.append(place)
        series.values.append(pair.value)

    def _take_others(self, reading: Reading) -> None:
        for pair in reading.pairs[:8]:
            if pair.role == "other" and pair.name and len(self.found.other) < MAX_OTHER:
                self.found.other[pair.name] += 1


def _is_no_log(reading: Reading) -> bool:
    """Return whether a line that mentions a loss reads like prose or source code."""
    return reading.loose > MAX_LOOSE or _CODE.search(reading.line) is not None
