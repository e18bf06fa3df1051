"""Reads a corpus of real training logs and counts how many are read right.

    python benchmarks/corpus.py FOLDER [--verbose]

FOLDER holds one folder per format and an `index.csv` that names, for each file, the keys of the
train and eval loss and the number of points.
"""

from __future__ import annotations

import argparse
import csv
import traceback
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

from ftadvise.errors import LogError
from ftadvise.readers import read, read_all

if TYPE_CHECKING:
    from ftadvise.run import Run

FORMATS = (
    "json_history", "bad_json", "jsonl", "jsonl_txt", "trainer_state", "llamafactory",
    "no_history", "no_loss", "bad_input", "odd", "noeval",
)  # fmt: skip
# An error is the right answer here, as long as it says what is wrong.
ERROR_IS_FINE = ("no_history", "no_loss", "bad_input", "odd")

# Rows of the index that are wrong, with the answer that is right: (train, eval, points) or an
# error code, and the reason.
Answer = tuple[str, str, int] | str
_RULED: dict[str, tuple[Answer, str]] = {
    "json_history/AloolXO__Final_qualifying_work__average_metrics_gpu.json": (
        "FT405",
        "one row of averages per fold, ten folds: final values of ten runs, no curve of one",
    ),
    "jsonl/Aorunfa__dinov2_finetune__training_metrics.json": (
        ("total_loss", "", 7),
        "the objective is total_loss; ibot_loss is one of its four parts",
    ),
    "jsonl/pabgarcialopez__CS-thesis__logs__training_log.json": (
        "FT405",
        "each line is the end of another training (num_epochs 50, other sizes): no curve of one",
    ),
    "llamafactory/rameyjm7__SFT-Training-LLM__trainer_log.jsonl": (
        ("loss", "", 656),
        "two processes wrote every line twice; 656 different steps have a loss",
    ),
}
_CONFIGS: dict[str, tuple[Answer, str]] = {
    f"jsonl_txt/pabgarcialopez__CS-thesis__examples__AE__{name}__configs.txt": (
        ("train_loss", "valid_loss", points),
        "the document among the text holds train_loss and valid_loss for every epoch",
    )
    for name, points in (("01", 30), ("02", 20), ("03", 20), ("04", 20))
}

OVERRULED = {**_RULED, **_CONFIGS}


def main() -> int:
    """Print the table; return 1 when a file is read wrongly or ends in a traceback."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("folder", type=Path)
    parser.add_argument("--verbose", action="store_true")
    options = parser.parse_args()
    index = _index(options.folder)
    total: Counter[str] = Counter()
    print(f"{'format':<14}{'files':>6}{'right':>7}{'error':>7}{'wrong':>7}")
    lines: list[str] = []
    for name in FORMATS:
        files = sorted(path for path in (options.folder / name).glob("*") if path.is_file())
        counts: Counter[str] = Counter()
        for file in files:
            key = f"{name}/{file.name}"
            verdict, why = judge(file, index.get(key, {}), name, key)
            counts[verdict] += 1
            if verdict != "right":
                lines.append(f"{verdict:<6} {key}: {why}")
        total += counts
        print(f"{name:<14}{len(files):>6}" + "".join(f"{counts[v]:>7}" for v in VERDICTS))
    print(f"{'all':<14}{total.total():>6}" + "".join(f"{total[v]:>7}" for v in VERDICTS))
    if options.verbose:
        print(*lines, sep="\n")
        print(*(f"overruled {k}: {why}" for k, (_, why) in OVERRULED.items()), sep="\n")
    return 1 if total["wrong"] else 0


VERDICTS = ("right", "error", "wrong")


def _index(folder: Path) -> dict[str, dict[str, str]]:
    with (folder / "index.csv").open(encoding="utf-8", newline="") as file:
        return {row["file"]: row for row in csv.DictReader(file)}


def judge(file: Path, row: dict[str, str], name: str, key: str) -> tuple[str, str]:
    """Return "right", "error" (an honest one) or "wrong" for one file, and why."""
    expected = OVERRULED[key][0] if key in OVERRULED else None
    try:
        run, runs = read(file), read_all(file)
    except LogError as error:
        if isinstance(expected, str):
            return ("right" if error.code == expected else "wrong"), f"{error.code} {error}"
        fine = name in ERROR_IS_FINE or not _has_history(row, name)
        return ("error" if fine else "wrong"), f"{error.code} {error}"
    except Exception:  # noqa: BLE001 - a traceback is what this counts
        return "wrong", traceback.format_exc(limit=-2)
    if isinstance(expected, str):
        return "wrong", f"read, where {expected} is right"
    keys = (_last(run.train.key), _last(run.eval.key))
    if expected is not None:
        ok = (*keys, _points(run)) == expected
        return ("right" if ok else "wrong"), f"read {keys}, {_points(run)}; expected {expected}"
    if name in ERROR_IS_FINE or name == "noeval":
        return "right", f"read {keys}, {_points(run)} points"
    return _compare(run, runs, row, name, keys)


def _has_history(row: dict[str, str], name: str) -> bool:
    if name in ("trainer_state", "noeval"):
        return True
    return bool(row.get("train_loss_key") or row.get("val_loss_key"))


def _compare(
    run: Run, runs: list[Run], row: dict[str, str], name: str, keys: tuple[str, str]
) -> tuple[str, str]:
    expected = (row.get("train_loss_key", ""), row.get("val_loss_key", ""))
    if name == "trainer_state":
        expected = ("loss", "eval_loss")
    points = int(row.get("n_points") or 0)
    wrong: list[str] = []
    if keys != expected:
        wrong.append(f"keys {keys}, index {expected}")
    if name == "trainer_state":
        counts = {len(run.eval)}
    elif run.restarts:  # the index counts the rows of all starts
        counts = {sum(len(r.train) for r in runs), sum(len(r.eval) for r in runs)}
    else:
        # In a list of rows the index counts all of them, train and eval, and one for the end.
        both = len(run.train) + len(run.eval)
        counts = {len(run.train), len(run.eval), both, both + 1}
    if points not in counts:
        wrong.append(f"points {sorted(counts)}, index {points}")
    return ("wrong", "; ".join(wrong)) if wrong else ("right", "")


def _points(run: Run) -> int:
    return max(len(run.train), len(run.eval))


def _last(key: str | None) -> str:
    return (key or "").rpartition(".")[2]


if __name__ == "__main__":
    raise SystemExit(main())
