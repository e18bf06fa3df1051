"""Reads what Keras prints while it trains: `Epoch 1/3` and lines of `loss: 0.38 - val_loss: 0.32`.

Progress bars are drawn anew with carriage returns or backspaces; what counts is the last line of
each epoch. `trainings_in` takes any text, so that notebooks and text logs are read alike.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ftadvise.errors import LogError
from ftadvise.readers.console_logs.printed import parts
from ftadvise.readers.console_logs.printed_plan import Plan
from ftadvise.readers.console_logs.trainings import Row, Training, runs_of_trainings
from ftadvise.readers.json_logs import documents
from ftadvise.readers.json_logs.documents import opening
from ftadvise.readers.series.keys import meaning
from ftadvise.readers.series.tables import number

if TYPE_CHECKING:
    from ftadvise.readers.source import Source
    from ftadvise.run import Run

MAX_LINE = 5000  # characters of a line that are looked at

# The header stands alone: "Epoch 1/3:  25%|..." is the bar of another tool.
_EPOCH = re.compile(r"\s{0,20}Epoch (\d{1,9})/(\d{1,9})(?=\s{0,9}$|\s{1,9}\d{1,12}/\w{1,12} )")
# "250/250 [====] - 3s", "250/250 - 3s" with verbose=2, "250/250 ━━━━ 3s" of Keras 3.
_COUNT = re.compile(r"\s{0,20}(\d{1,12})/(\d{1,12}|Unknown)\s{1,5}(?:\[[=>.]|-|[\u2501\u2500])")
_SECONDS = re.compile(r"\s{0,20}- \d{1,9}s ")  # verbose=2 of Keras before 2.3
_OPENING = re.compile(
    r"Epoch \d{1,9}/\d{1,9}\s{1,9}(?:[^{}]{0,4000}?\d{1,12}/(?:\d{1,12}|Unknown)\S{0,20}\s{1,5}"
    r"\S{0,20}(?:\[[=>.]|-|\u2501)|- \d{1,9}s )"
)
_HELD_OUT = re.compile(r"\s{0,20}(?:- )?val_loss: \d")
_SAMPLES = re.compile(r"Train on (\d{1,12}) samples")


class _Fit:
    """One call of `fit` while its output is read."""

    def __init__(self, epochs: int) -> None:
        self.epochs = epochs
        self.rows: dict[int, Row] = {}
        self.per_epoch: float | None = None


class _Fits:
    """The calls of `fit` in the order of their output."""

    def __init__(self) -> None:
        self.fits: list[_Fit] = []
        self.epoch = 0
        self.samples = 0

    def take(self, part: str) -> None:
        samples = _SAMPLES.search(part) if "Train on" in part else None
        if samples is not None:
            self.samples = int(samples[1])
        header = _EPOCH.match(part)
        if header is not None:
            self._header(int(header[1]), int(header[2]))
            part = part[header.end() :]
        if "loss: " in part and self.fits and self.epoch:
            self._line(part)

    def _header(self, epoch: int, epochs: int) -> None:
        if not self.fits or epoch <= self.epoch or epochs != self.fits[-1].epochs:
            self.fits.append(_Fit(epochs))
        self.epoch = epoch

    def _line(self, part: str) -> None:
        count = _COUNT.match(part)
        if count is None and _SECONDS.match(part) is None:
            self._evaluated(part)
            return
        total = int(count[2]) if count is not None and count[2] != "Unknown" else None
        if count is not None and total is not None and int(count[1]) < total:
            return  # the running mean of an epoch in progress
        row = _metrics(part)
        if not any(meaning(name).role in ("train", "eval") for name in row):
            return
        row["epoch"] = self.epoch
        fit = self.fits[-1]
        # The line with the validation loss replaces the one of the finished bar; the bar of
        # `evaluate` below an epoch, without a validation loss, does not.
        if fit.rows.get(self.epoch, {}).keys() <= row.keys():
            fit.rows[self.epoch] = row
            if total is not None and total != self.samples:
                fit.per_epoch = float(total)

    def _evaluated(self, part: str) -> None:
        """Take a line of validation metrics below that of its epoch."""
        row = self.fits[-1].rows.get(self.epoch)
        if row is not None and "val_loss" not in row and _HELD_OUT.match(part):
            row.update((key, x) for key, x in _metrics(part).items() if key.startswith("val_"))


def _metrics(part: str) -> Row:
    row: Row = {}
    for item in part[:MAX_LINE].strip(" -").split(" - "):
        name, colon, value = item.partition(": ")
        plain = value.split(maxsplit=1)
        if colon and len(name) < 100 and plain and (found := number(plain[0])) is not None:
            row[" ".join(name.split())] = found
    return row


def trainings_in(text: str) -> list[Training]:
    """Return what each call of Keras' `fit` printed in `text`, one row per finished epoch."""
    output = _Fits()
    for part in parts(text):
        output.take(part)
    found: list[Training] = []
    for fit in output.fits:
        rows = [fit.rows[epoch] for epoch in sorted(fit.rows)]
        if not rows:
            continue
        if fit.per_epoch:
            for row in rows:
                row["step"] = row["epoch"] * fit.per_epoch
        found.append(Training(rows, "", Plan(epochs=float(fit.epochs)), fit.per_epoch))
    return found


def sniff(source: Source) -> float:
    """Return 0.85 for an epoch header with a bar below it."""
    head = opening(source)
    if "\0" in head or documents.sniff(source) >= 0.5:
        return 0.0
    if "Epoch " not in head or "loss: " not in head:
        return 0.0
    return 0.85 if _OPENING.search(head) else 0.1


def read(source: Source) -> list[Run]:
    """Return one run per call of `fit`.

    Raises:
        LogError: FT405 no finished epoch in it.
    """
    trainings = trainings_in(source.text)
    if not trainings:
        raise LogError(
            f"{source.label}: no loss history: no finished epoch of Keras in it",
            code="FT405",
            hint="Log with the CSVLogger callback, or save model.fit(...).history as JSON.",
        )
    for place, training in enumerate(trainings, 1):
        training.name = f"fit {place}"
    return runs_of_trainings(source, trainings)
