"""Reads W&B runs: `.wandb` files, `wandb-history.jsonl`; says what `wandb-summary.json` is."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, cast

from ftadvise.errors import LogError
from ftadvise.readers.json_logs import documents, long_documents
from ftadvise.readers.json_logs.long_rows import BATCH, Collector, LongRows
from ftadvise.readers.series.search import Found, search
from ftadvise.readers.series.tables import array_of, number
from ftadvise.readers.series.values import nothing_found, runs_of_tables
from ftadvise.readers.source import Reader, Source
from ftadvise_plugins.arguments import Plan, plan
from ftadvise_plugins.metric_tables import means_something, planned_steps
from ftadvise_plugins.wandb.axes import OWN, without_own_step
from ftadvise_plugins.wandb.console import runs_printed
from ftadvise_plugins.wandb.datastore import MAGIC, Damage, records
from ftadvise_plugins.wandb.files import config_beside, gather
from ftadvise_plugins.wandb.record import Log, Row

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from ftadvise.run import Run

_OWN_NAMES = ('"_step"', '"_runtime"', '"_timestamp"')


@dataclass
class _History:
    """Rows as they come, and whether W&B's step only numbers them."""

    collector: Collector
    counts: bool = True
    next_step: float = 0.0
    notes: list[str] = field(default_factory=list[str])

    def take(self, rows: list[Row]) -> None:
        self.look_at(rows)
        self.collector.extend(cast("list[dict[str, Any]]", rows))

    def look_at(self, rows: Iterable[Mapping[str, Any]]) -> None:
        for row in rows:
            step = row.get(OWN)
            if isinstance(step, float | int):
                self.counts &= step == self.next_step
                self.next_step = step + 1


def sniff(source: Source) -> float:
    """Return 0.97 for a `.wandb` file, 0.9 for JSON with the names that W&B adds to each row."""
    if source.head.startswith(MAGIC):
        return 0.97
    if not documents.sniff(source):
        return 0.0
    head = documents.opening(source)
    return 0.9 if sum(name in head for name in _OWN_NAMES) >= 2 else 0.0


def read(source: Source) -> list[Run]:
    """Return the runs in a W&B log.

    Raises:
        LogError: FT404 damaged, FT405 no history in it, FT406 a history without loss.
    """
    return _offline(source) if source.head.startswith(MAGIC) else _json(source)


def _offline(source: Source) -> list[Run]:
    log = Log(lambda name: means_something(name, source.wanted))
    history = _History(Collector((), source.wanted))
    damage = Damage()
    for path in source.files:
        try:
            with path.open("rb") as file:
                for data in records(file, damage):
                    log.add(data)
                    if len(log.rows) >= BATCH:
                        history.take(log.rows)
                        log.rows = []
        except OSError as error:
            raise LogError(f"{source.label}: {error.strerror}", code="FT401") from None
    history.take(log.rows)
    history.notes += _damage(damage, log)
    if not log.history:
        printed = runs_printed(source, bytes(log.console))
        if printed:
            return printed
        raise _without_history(source, log, damage)
    found = search(history.collector.result(), source.wanted)
    found.other += log.others
    runs = _runs(source, history, found, plan(log.config))
    return [replace(run, source=replace(run.source, run=_name(log, run))) for run in runs]


def _json(source: Source) -> list[Run]:
    parsed = long_documents.parse(source)
    value: Any = parsed.values[0] if len(parsed.values) == 1 else parsed.values
    if isinstance(value, dict):
        raise _summary(source, cast("dict[str, Any]", value))
    history = _History(Collector((), source.wanted), notes=list(parsed.notes))
    if isinstance(value, list):
        rows = [
            cast("Row", row) for row in array_of(cast("object", value)) if isinstance(row, dict)
        ]
        history.take(rows)
        value = history.collector.result()
    elif isinstance(value, LongRows):
        history.look_at(value.head)
    found = search(value, source.wanted)
    config = config_beside(source.given) if source.given is not None else {}
    return _runs(source, history, found, plan(config))


def _runs(source: Source, history: _History, found: Found, setup: Plan) -> list[Run]:
    rows = history.collector.result()
    notes = [*history.notes, *(rows.notes if isinstance(rows, LongRows) else ())]
    for table in found.tables:
        notes += without_own_step(table, history.counts)
        table.columns += planned_steps(setup.steps, table)
    runs = runs_of_tables(found.tables, source.wanted, setup.epochs, setup.settings, found.other)
    if not runs:
        raise nothing_found(source.label, found)
    return [replace(run, notes=(*dict.fromkeys(notes), *run.notes)) for run in runs]


def _name(log: Log, run: Run) -> str:
    own = run.source.run
    return f"{log.name} ({own})" if log.name and own else log.name or own


def _damage(damage: Damage, log: Log) -> list[str]:
    notes: list[str] = []
    broken = damage.places + log.malformed
    if broken:
        what = "record is" if broken == 1 else "records are"
        notes.append(f"{broken} {what} damaged and left out.")
    if damage.cut:
        notes.append("The W&B file ends in the middle of a record; read up to there.")
    return notes


def _without_history(source: Source, log: Log, damage: Damage) -> LogError:
    """Return the error for a run to which nothing was logged."""
    if (damage.places or damage.cut) and not (
        log.config or log.console or log.summary or log.name
    ):
        return LogError(
            f"{source.label}: a damaged W&B file without a readable record",
            hint="Copy the file again, or give another log of the run.",
        )
    finals = _finals(log.summary)
    if finals:
        return nothing_found(source.label, Found(finals=finals))
    printed = ", nor did it print a loss" if log.console else ""
    return LogError(
        f"{source.label}: a W&B run to which no metrics were logged{printed}",
        code="FT405",
        hint="It ended before its first log; give a later run, or trainer_state.json.",
    )


def _summary(source: Source, value: dict[str, Any]) -> LogError:
    finals = _finals(value)
    if not finals and any(isinstance(child, dict | list) for child in value.values()):
        return LogError(f"{source.label}: no rows of a W&B history", code="FT405")
    error = nothing_found(source.label, Found(finals=finals))
    return LogError(
        f"{error.message} (a W&B summary)",
        code="FT405",
        hint="Give run-*.wandb of the run, the console log files/output.log, or trainer_state.json.",
    )


def _finals(values: dict[str, Any]) -> dict[str, float]:
    plain = {name: number(value) for name, value in list(values.items())[:1000]}
    return {k: v for k, v in plain.items() if v is not None and not k.startswith("_")}


READER = Reader(
    name="wandb",
    description="W&B runs: offline .wandb files, wandb-history.jsonl",
    sniff=sniff,
    read=read,
    gather=gather,
)
