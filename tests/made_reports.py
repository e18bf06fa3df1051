"""Reports for the tests in a browser: the smallest, the largest, the most hostile, and one of many."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
from hostile_strings import STRINGS, spoiled, spoiled_error
from made_runs import make_run

import ftadvise
from ftadvise.reports.html import page
from ftadvise.run import Run, Series, Source, as_floats
from ftadvise.together import together

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from ftadvise.advice import Advice
    from ftadvise.errors import FtadviseError

    Answer = tuple[str, Advice | FtadviseError]


def one_point() -> str:
    """Return the page about a log with a single loss: there is no advice, and it says why."""
    loss = Series("loss", as_floats([1]), as_floats([1]), as_floats([2.0]))
    run = Run(train=loss, source=Source(path="one.json", format="made"))
    try:
        ftadvise.advise(run)
    except ftadvise.LogError as error:
        return page([("one.json", error)])
    raise AssertionError("one point is too few")


def two_points() -> str:
    """Return the page about the shortest log that there is advice for."""
    loss = Series("loss", as_floats([1, 2]), as_floats([1, 2]), as_floats([2.0, 1.5]))
    advice = ftadvise.advise(Run(train=loss, source=Source(path="two.json", format="made")))
    return page([("two.json", advice)], command="ftadvise analyze two.json -o report.html")


def ordinary(root: Path) -> str:
    """Return the page about an example of ours, which overfits."""
    path = "examples/chat/trainer_state.json"
    advice = ftadvise.advise(ftadvise.read(root / path))
    return page([(path, advice)], command=f"ftadvise analyze {path} -o report.html")


def largest(folder: Path, rows: int = 1_000_000) -> str:
    """Return the page about a log of a million rows, written and read as a user's would be."""
    step = np.arange(1, rows + 1)
    epoch = 3.0 * step / rows
    loss = 1.0 + 1.0 / (1.0 + epoch) + 0.05 * np.random.default_rng(0).standard_normal(rows)
    path = folder / "large.csv"
    lines = (f"{s},{e:.6f},{v:.4f}" for s, e, v in zip(step, epoch, loss, strict=True))
    path.write_text("step,epoch,loss\n" + "\n".join(lines) + "\n")
    return page([("large.csv", ftadvise.advise(ftadvise.read(path)))])


def many(count: int = 24, names: str = "r{}.json") -> str:
    """Return the page about many logs, one of them unreadable, and what they say together."""
    runs = [_named(f"runs/{names.format(n)}", seed=n, rise=0.03 * n) for n in range(count)]
    each = [ftadvise.advise(run) for run in runs]
    answers: list[Answer] = [(run.source.path, one) for run, one in zip(runs, each, strict=True)]
    broken = ftadvise.LogError("runs/broken.json: empty", code="FT402", hint="Look elsewhere.")
    answers.insert(3, ("runs/broken.json", broken))
    found = together(runs)
    joint = ftadvise.advise(found.runs[-1], past=found.runs[:-1])
    return page(answers, (joint, found), command="ftadvise analyze runs/*.json -o all.html")


def _named(path: str, seed: int, rise: float) -> Run:
    from dataclasses import replace

    made = make_run(seed=seed, noise=0.01, rise=rise, epochs=3.0 + seed % 3)
    return replace(made, source=Source(path=path, format="made", run=f"run {seed}"))


def hostile(said: str) -> str:
    """Return the page about one log in which everything is called `said`."""
    return page([(said, spoiled(_plain(), said))], command=f"ftadvise analyze {said}")


def hostile_many(strings: Sequence[str] = STRINGS) -> str:
    """Return the page about a log and an error for each hostile string."""
    answers: list[Answer] = []
    for said in strings:
        answers += [(said, spoiled(_plain(), said)), (said, spoiled_error(said))]
    return page(answers, command=" ".join(strings))


def _plain() -> Advice:
    return ftadvise.advise(make_run(rise=0.6, noise=0.01))
