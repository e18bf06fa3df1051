"""What forecasts of the last loss of a run are worth, at its own length and at others.

usage: python benchmarks/length_ends.py FAMILIES.jsonl.gz... [--test FAMILIES.jsonl.gz] [--choices]

What `ftadvise forecast LOG --at E --epochs E` prints, with the shipped doubt, data set left out and
with one log given: the share of last losses inside the 90 % interval, the interval's width and the
error of the median, all in log loss. First as the laws let a run rise after its lowest loss, then
as `ftadvise.lengths.rise_power` has it. Families of --test are forecast with the shipped constants.
--choices: what the constants of `rise_power` were chosen by.
"""

from __future__ import annotations

import argparse
import contextlib
from unittest import mock

import numpy as np
from families import Family, load
from horizon_model import Row, rows
from length_cases import Cases, cases
from length_tables import Column, doubts, inside, table

from ftadvise import lengths as lengths_room
from ftadvise import priors
from ftadvise.run import FloatArray

UNRISEN = (0.002, 0.005, 0.01, 0.02)
MOST_POWERS = (1.0, 2.0, 3.0, 10.0)


def main() -> None:
    """Forecast, and print the tables."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("files", nargs="+")
    parser.add_argument("--test")
    parser.add_argument("--choices", action="store_true")
    options = parser.parse_args()
    families = load(*options.files)
    known = rows(families)
    compare("data set left out", families, known)
    if options.test:
        compare(options.test, load(options.test), None)
    if options.choices:
        choices(families, known)


def compare(title: str, families: list[Family], known: list[Row] | None) -> None:
    """Print what forecasts are worth with the rise of the laws and with that of the log."""
    laws = mock.patch.object(lengths_room, "rise_power", _as_drawn)
    for name, how in (("rise of the laws", laws), ("rise of the log", contextlib.nullcontext())):
        with how:
            found = cases(families, known, at_end=True)
        table(f"{name}, {title}", found, columns(found))


def columns(found: Cases) -> dict[str, Column]:
    """Return coverage, widths and errors of every case."""
    doubt = doubts(priors.load("lengths")["learned"], found)
    low, median, high = np.quantile(found.doubted(doubt), [0.05, 0.5, 0.95], axis=1)
    return {
        "90 %": (inside(found, doubt, 0.9), np.mean),
        "width, median": (high - low, np.median),
        "width, mean": (high - low, np.mean),
        "error, median": (np.abs(median - found.reached), np.median),
        "error, mean": (np.abs(median - found.reached), np.mean),
        "as this run": (np.abs(found.carried - found.reached), np.median),
    }


def choices(families: list[Family], known: list[Row]) -> None:
    """Print what other constants of `ftadvise.lengths.rise_power` would have given."""
    for name, values in (("UNRISEN", UNRISEN), ("MOST_POWER", MOST_POWERS)):
        for value in values:
            with mock.patch.object(lengths_room, name, value):
                found = cases(families, known, at_end=True)
            table(f"{name} {value:g}, data set left out", found, columns(found))


def _as_drawn(_: FloatArray, drawn: FloatArray) -> FloatArray:
    return np.ones(drawn.shape[0])


if __name__ == "__main__":
    main()
