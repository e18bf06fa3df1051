"""Reads a corpus of real training logs and counts how many are read right.

    python benchmarks/corpus.py FOLDER [--only FORMAT ...] [--show] [--markdown FILE]

FOLDER holds one folder per format and an `index.csv` that names, for each file, the keys of the
train and eval loss and the number of points. A file with a history is right when the keys and the
number of points agree; one without is right when it ends in an error that says so. `--counts FILE`
gives the points of event files and the like as their own tools count them (`corpus_counts.py`).
`--markdown FILE` puts the table between the markers in FILE.
"""

from __future__ import annotations

import argparse
import re
import time
import traceback
from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from corpus_rulings import RULINGS
from corpus_truth import Answer, answer, counts_of, index_of

from ftadvise.errors import LogError
from ftadvise.readers import read, read_all
from ftadvise.run import Run, Series

VERDICTS = ("right", "error", "unchecked", "wrong")
SLOW = 5.0  # seconds
_VAGUE = "not in any known format"  # says nothing about the file
BEGIN, END = "<!-- measured: begin -->", "<!-- measured: end -->"


@dataclass(frozen=True)
class Judged:
    """The verdict on one file: "right", "error" (an honest one), "unchecked" or "wrong".

    `alone` is the verdict by the index and the counts, without the rulings.
    """

    name: str
    file: str
    verdict: str
    why: str
    seconds: float
    alone: str


def main() -> int:
    """Print the table; return 1 when a file is read wrongly."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", type=Path)
    parser.add_argument("--only", nargs="+", metavar="FORMAT", help="these formats alone")
    parser.add_argument("--show", action="store_true", help="list what is not right, and why")
    parser.add_argument("--all", action="store_true", help="list every file")
    parser.add_argument("--counts", type=Path, help="what corpus_counts.py wrote")
    parser.add_argument("--markdown", type=Path, help="a page with markers for the table")
    options = parser.parse_args()
    judged = judge_all(options.folder, options.only or (), counts_of(options.counts))
    rows = table(judged)
    print(
        *(" ".join(f"{c:>10}" if i else f"{c:<16}" for i, c in enumerate(r)) for r in rows),
        sep="\n",
    )
    _print_details(judged, options.show, options.all)
    if options.markdown:
        _write_markdown(options.markdown, rows, _rulings_in(judged))
    return 1 if any(one.verdict == "wrong" for one in judged) else 0


def judge_all(
    folder: Path, only: list[str] | tuple[str, ...], counts: dict[str, dict[str, int]]
) -> list[Judged]:
    """Judge every file in the folders of `folder`, or in those named `only`."""
    index = index_of(folder)
    judged: list[Judged] = []
    for part in sorted(path for path in folder.iterdir() if path.is_dir()):
        if only and part.name not in only:
            continue
        for file in sorted(path for path in part.iterdir() if path.is_file()):
            key = f"{part.name}/{file.name}"
            said = answer(file, part.name, index.get(key, {}), counts.get(key))
            expected = RULINGS[key][0] if key in RULINGS else said
            started = time.monotonic()
            verdict, why = judge(file, expected)
            seconds = time.monotonic() - started
            alone = judge(file, said)[0] if key in RULINGS else verdict
            judged.append(Judged(part.name, key, verdict, why, seconds, alone))
    return judged


def judge(file: Path, expected: Answer) -> tuple[str, str]:
    """Return the verdict on one file, and what was found."""
    try:
        run, runs = read(file), read_all(file)
    except LogError as error:
        found = f"{error.code} {error}"
        if expected.error == "no":
            return "wrong", f"expected {_shown(expected)}; found {found}"
        if _VAGUE in error.message:
            return "wrong", f"expected an error that says what the file is; found {found}"
        if expected.code and error.code != expected.code:
            return "wrong", f"expected {expected.code}; found {found}"
        return "error", found
    except Exception:  # noqa: BLE001 - a traceback is what this counts
        return "wrong", traceback.format_exc(limit=-2)
    found = (
        f"{run.source.format}: train {run.train.key} {len(run.train)}, "
        f"eval {run.eval.key} {len(run.eval)}, runs {len(runs)}"
    )
    verdict = _compare(run, runs, expected)
    if verdict == "wrong":
        found = f"expected {_shown(expected)}; found {found}"
    return verdict, found


def _compare(run: Run, runs: list[Run], expected: Answer) -> str:
    """Return the verdict on the runs in a file, of which `run` is the one that is taken.

    An index speaks of a file: of several runs in it, any may be the one that it means, or all.
    """
    if expected.error == "yes":
        return "wrong"
    if expected.counts is not None:
        good = _counted(run.train, expected.counts) and _counted(run.eval, expected.counts)
        if expected.eval is None and not len(run.eval):
            good = False
        return "right" if good else "wrong"
    if not any(_agrees(one, expected, _lengths(runs)) for one in [run, *runs]):
        return "wrong"
    known = expected.train is not None and (expected.points or expected.exact)
    return "right" if known else "unchecked"


def _agrees(run: Run, expected: Answer, together: set[int]) -> bool:
    for key, series in ((expected.train, run.train), (expected.eval, run.eval)):
        if key is not None and not same_key(series.key, key):
            return False
    if expected.exact is not None:
        train, held_out = expected.exact
        return len(run.train) in train and len(run.eval) in held_out
    lengths = _lengths([run]) | together
    return not expected.points or bool(set(expected.points) & lengths)


def _lengths(runs: list[Run]) -> set[int]:
    """Return the numbers of points that an index may mean.

    In a list of rows it counts all of them: train, eval, and one for the end.
    """
    train, held_out = sum(len(run.train) for run in runs), sum(len(run.eval) for run in runs)
    both = train + held_out
    return {train, held_out, both, both + len(runs)}


def _counted(series: Series, counts: dict[str, int]) -> bool:
    """Whether the file has a series of that name and length (or there is none to check)."""
    if not len(series):
        return True
    return any(same_key(series.key, name) and n == len(series) for name, n in counts.items())


def same_key(found: str | None, expected: str) -> bool:
    """Return whether both name one series; containers before a dot or slash do not count.

    A sum of losses (`train/box_loss + ...`) is the series that its first part names.
    """
    if not found or not expected:
        return not found and not expected
    first = re.split(r"\s*\+\s*", found)[0]
    parts = re.split(r"[./]", first)
    wanted = _plain(expected)
    return any(_plain("_".join(parts[place:])) == wanted for place in range(len(parts)))


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]+", "_", name.lower()).strip("_")


def _shown(expected: Answer) -> str:
    if expected.error == "yes":
        return f"an error {expected.code}".rstrip()
    if expected.counts is not None:
        losses = {n: c for n, c in expected.counts.items() if "loss" in n.lower()}
        return f"one of {losses}" + ("" if expected.eval is None else ", no eval")
    if expected.train is None:
        return f"a run of {expected.points or 'any'} points"
    sizes = [sorted(part) for part in expected.exact] if expected.exact else expected.points
    held_out = "any eval" if expected.eval is None else expected.eval or "no eval"
    return f"{expected.train or 'no train'}, {held_out}, {sizes}"


def table(judged: list[Judged]) -> list[tuple[str, ...]]:
    """Return the rows of the table: the header, one per format, and all together."""
    rows: list[tuple[str, ...]] = [("format", "files", *VERDICTS)]
    for name in dict.fromkeys(one.name for one in judged):
        found = Counter(one.verdict for one in judged if one.name == name)
        rows.append((name, str(found.total()), *(str(found[v]) for v in VERDICTS)))
    total = Counter(one.verdict for one in judged)
    rows.append(("all", str(total.total()), *(str(total[v]) for v in VERDICTS)))
    return rows


def _print_details(judged: list[Judged], show: bool, everything: bool) -> None:
    good = sum(one.verdict != "wrong" for one in judged)
    print(f"\n{good} of {len(judged)} not wrong ({good / max(len(judged), 1):.1%})")
    print(_rulings_in(judged))
    for one in judged:
        if everything or (show and one.verdict in ("wrong", "unchecked")):
            print(f"{one.verdict:<9} {one.file}: {one.why}")
        if one.seconds > SLOW:
            print(f"slow      {one.file}: {one.seconds:.1f} s")
    if show:
        names = {one.file for one in judged}
        print(
            *(f"ruled     {k}: {why}" for k, (_, why) in RULINGS.items() if k in names), sep="\n"
        )


def _rulings_in(judged: list[Judged]) -> str:
    ruled = sum(one.file in RULINGS for one in judged)
    wrong = sum(one.alone == "wrong" for one in judged)
    unchecked = sum(one.alone == "unchecked" for one in judged)
    return (
        f"For {ruled} of the {len(judged)} files a ruling decided. By the index and the counts "
        f"alone {wrong} would be wrong and {unchecked} unchecked."
    )


def _write_markdown(page: Path, rows: list[tuple[str, ...]], below: str) -> None:
    header, *body = rows
    lines = ["| " + " | ".join(header) + " |", "|---|" + "---:|" * (len(header) - 1)]
    lines += ["| " + " | ".join(row) + " |" for row in body]
    before, _, rest = page.read_text(encoding="utf-8").partition(BEGIN)
    _, found, after = rest.partition(END)
    if not found:
        raise SystemExit(f"{page}: no markers {BEGIN} {END}")
    text = "\n".join([before + BEGIN, *lines, "", below, END + after])
    page.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    raise SystemExit(main())
