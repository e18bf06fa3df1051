"""Runs of the history as lines for people and as plain data for JSON; every text is cleaned."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any

from ftadvise.history.entries import Entry
from ftadvise.history.outcome import Outcome, epochs_judged, judged, outcome
from ftadvise.numbers import short
from ftadvise.text import clean

_HEADS = ("id", "added", "model", "data", "rate", "epochs", "best loss", "at epoch", "log")


def _row(entry: Entry) -> tuple[str, ...]:
    facts = entry.facts
    return (
        str(entry.id),
        _said(entry.added[:10], 10),
        _said(facts.model, 30),
        _said(facts.data, 9),
        _figure(facts.learning_rate),
        _figure(entry.epochs),
        _figure(entry.best_eval_loss),
        _figure(entry.best_epoch),
        _said(entry.source.path, 60),
    )


def table(entries: Sequence[Entry]) -> list[str]:
    """Return the lines of a table with one run a line."""
    rows = [_HEADS, *map(_row, entries)]
    sizes = [max(len(row[i]) for row in rows) for i in range(len(rows[0]))]
    return [
        "  ".join(f"{cell:<{size}}" for cell, size in zip(row, sizes, strict=True)).rstrip()
        for row in rows
    ]


def page(entry: Entry) -> list[str]:
    """Return the lines that say all that is known of one run."""
    rows = [(label, text) for label, text in _facts(entry) if text]
    width = max(len(label) for label, _ in rows) + 2
    return [f"{label:<{width}}{text}" for label, text in rows]


def _facts(entry: Entry) -> list[tuple[str, str]]:
    facts, source = entry.facts, entry.source
    method = f"{facts.method}, rank {facts.lora_rank}" if facts.lora_rank else facts.method
    lines = [
        ("Run", f"{entry.id}, added {_said(entry.added, 30)}"),
        ("Log", _said(source.path, 1000)),
        ("Format", _said(source.format, 60)),
        ("In the log", _said(source.run, 200) if source.run else ""),
        ("Model", _known(facts.model)),
        ("Family", _known(facts.family)),
        ("Parameters", _count(facts.parameters)),
        ("Data", _known(facts.data)),
        ("Examples", _count(facts.examples)),
        ("Tokens", f"{_count(facts.tokens_per_epoch)} an epoch" if facts.tokens_per_epoch else ""),
        ("Method", _known(method)),
        ("Rate", f"{_figure(facts.learning_rate)}, {facts.schedule or 'schedule not known'}"),
        ("Batch", _count(facts.batch_size)),
        ("Epochs", f"{_figure(entry.epochs)} of {_figure(entry.planned_epochs)} planned"),
        ("Eval loss", f"{_figure(entry.best_eval_loss)} at epoch {_figure(entry.best_epoch)}"),
        ("Ended", _known(facts.stopped)),
    ]
    lines = [(label, _said(text, 1000) if text else "") for label, text in lines]
    return lines + _judgement(outcome(entry))


def _judgement(found: Outcome | None) -> list[tuple[str, str]]:
    if found is None:
        return [("Advice", "not trained on advice, as far as is known")]
    return [("Advised", epochs_judged(found)), ("Advice", judged(found))]


def as_dict(entry: Entry) -> dict[str, Any]:
    """Return one run as plain data, with how good the advice was."""
    plain = asdict(entry)
    source = plain.pop("source")
    plain["source"] = {key: source[key] for key in ("path", "format", "run")}
    judged = outcome(entry)
    return plain | {"outcome": asdict(judged) if judged else None}


def _said(value: str | None, limit: int) -> str:
    return clean(value, limit) if value else "-"


def _known(value: str | None) -> str:
    return value or ""


def _count(value: int | None) -> str:
    return "" if value is None else f"{value:,}"


def _figure(value: float | None) -> str:
    return "-" if value is None else short(value)
