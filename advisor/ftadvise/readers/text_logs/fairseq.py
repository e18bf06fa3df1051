"""Reads console logs of fairseq, in its text and its JSON format.

    | INFO | train_inner | epoch 002:    85 / 282 loss=5.153, ppl=35.6, num_updates=367, lr=9.1e-05
    | INFO | train | epoch 002 | loss 5.012 | nll_loss 3.5 | ppl 11.3 | num_updates 564 | lr 0.0001
    | INFO | valid | epoch 002 | valid on 'valid' subset | loss 4.8 | ppl 9.9 | num_updates 564
    | INFO | valid | {"epoch": 2, "valid_loss": "4.8", "valid_num_updates": "564"}

Older versions print the same without what stands before `epoch`. Losses are in base 2.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any, cast

from ftadvise.readers.files.lines import lines_of
from ftadvise.readers.series.columns import Columns, runs_in_columns
from ftadvise.readers.series.keys import EVAL_WORDS
from ftadvise.readers.series.tables import number
from ftadvise.readers.text_logs.forms import mark
from ftadvise.readers.text_logs.pairs_in_text import read_pairs

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ftadvise.readers.source import Source
    from ftadvise.run import Run

ENOUGH = 3  # epochs, for their means to be preferred to the losses within them

_TEXT = (
    r"epoch (?P<epoch>\d{1,6})(?P<kind>:\s{0,8}(?P<done>\d{1,12}) / (?P<all>\d{1,12}) "
    r"| \| (?:valid on '(?P<subset>[^']{1,60})' subset \| )?)(?=\w{1,40}[ =])"
)
_JSON = r"\b(?P<tag>train_inner|train|valid\w{0,40}|test\w{0,40}) \| (?P<json>\{\"epoch\": .{0,3900}\})"
_MARK = re.compile(
    r"\|\s{0,2}epoch \d{1,6}(?::\s{0,8}\d{1,12} / \d{1,12} loss=| \| (?:valid on '[^']{1,60}' subset"
    r" \| )?loss \d)|\b(?:train_inner|train|valid) \| \{\"epoch\": \d|^epoch \d{1,6} \| valid on '",
    re.MULTILINE,
)
_TEXT_LINE, _JSON_LINE = re.compile(_TEXT), re.compile(_JSON)
_HINT = re.compile(r"epoch")
_KEPT = ("loss", "nll_loss", "lr")


def sniff(source: Source) -> float:
    """Return 0.9 for its lines at the beginning or the end of the file."""
    return 0.9 if mark(source, _MARK) else 0.0


def read(source: Source) -> list[Run]:
    """Return the runs in the log.

    Raises:
        LogError: FT405 no loss in it.
    """
    rows = list(_rows(source))
    means = sum("train loss" in row for row in rows)
    inner = sum("loss" in row for row in rows)
    taken, left = (
        ("train loss", "loss") if means >= ENOUGH or not inner else ("loss", "train loss")
    )
    columns = Columns()
    for row in rows:
        if left not in row:
            columns.add(row)
    notes = ["fairseq logs losses in base 2 (bits), not in nats."]
    if means and inner:
        what = "means over epochs" if taken == "train loss" else "losses within epochs"
        notes.append(
            f"Of {means} means over epochs and {inner} losses within them took the {what}."
        )
    return runs_in_columns(source, columns, notes)


def _rows(source: Source) -> Iterator[dict[str, float]]:
    for line in lines_of(source, _HINT):
        found = _JSON_LINE.search(line)
        text = None if found else _TEXT_LINE.search(line)
        row: dict[str, float] = {}
        if found:
            row = _of_json(found["tag"], found["json"])
        elif text:
            row = _of_text(text, line)
        if row:
            yield row


def _of_text(found: re.Match[str], line: str) -> dict[str, float]:
    values = {pair.name: pair.value for pair in read_pairs(line[found.end() :]).pairs}
    epoch = float(found["epoch"])
    if found["done"]:
        return _row("", values, epoch - 1 + float(found["done"]) / max(float(found["all"]), 1.0))
    subset = found["subset"]
    return _row(_split(subset) if subset else "train", values, epoch)


def _of_json(tag: str, text: str) -> dict[str, float]:
    try:
        value: Any = json.loads(text)
    except (ValueError, RecursionError):
        return {}
    if not isinstance(value, dict):
        return {}
    split = "" if tag == "train_inner" else "train" if tag == "train" else _split(tag)
    values: dict[str, float] = {}
    for name, held in cast("dict[str, Any]", value).items():
        plain = number(held)
        if plain is not None:
            values[name.removeprefix(f"{tag}_")] = plain
    epoch = values.get("update") if tag == "train_inner" else values.get("epoch")
    return _row(split, values, epoch)


def _split(subset: str) -> str:
    """Return a name for a subset that says that it is held out: `valid`, `valid1`, `test`."""
    return subset if any(subset.startswith(word) for word in EVAL_WORDS) else f"valid {subset}"


def _row(split: str, values: dict[str, float], epoch: float | None) -> dict[str, float]:
    row: dict[str, float] = {}
    for name in _KEPT:
        if name in values and (name != "lr" or split in ("", "train")):
            row[name if name == "lr" or not split else f"{split} {name}"] = values[name]
    if not row.keys() - {"lr"}:
        return {}
    if epoch is not None:
        row["epoch"] = epoch
    if "num_updates" in values:
        row["num_updates"] = values["num_updates"]
    return row
