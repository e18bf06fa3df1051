"""What lists write as JSON: runs in a folder, the history, rules."""

from __future__ import annotations

from collections.abc import Iterator

from ftadvise.cli.listing import SCHEMA as RUNS
from output_schemas.pieces import (
    DRAFT,
    Schema,
    document,
    mapping,
    of,
    or_null,
    record,
    several,
    source,
    value,
)

_HISTORY = "ftadvise.history/1"
_COUNT = {"type": "integer", "minimum": 0}


def schemas() -> Iterator[Schema]:
    """Yield the schemas."""
    yield document(
        RUNS, "The runs in a log or folder: `ftadvise analyze --list --format json`", _runs()
    )
    yield _history()
    yield _rules()


def _rules() -> Schema:
    """Return the schema of `ftadvise rule`, whose output does not name one."""
    rule = {
        "code": value("string", "Stable code, such as `FT201`."),
        "name": value("string", "Short name."),
        "summary": value("string", "One line."),
        "sections": mapping({"type": "string"}, "The documentation, by heading."),
    }
    error = {
        "code": value("string", "Stable code, such as `FT401`."),
        "kind": {"const": "error"},
        "means": several({"type": "string"}, "What it can mean."),
    }
    return {
        "$schema": DRAFT,
        "$id": "ftadvise.rule",
        "title": "Output of `ftadvise rule --format json`",
        "anyOf": [
            record(rule, "`ftadvise rule FT201`"),
            record(error, "`ftadvise rule FT401`"),
            several(record(rule), "`ftadvise rule`, all findings"),
        ],
    }


def _runs() -> dict[str, Schema]:
    run = {
        "name": value("string", "Name of the run; what `--run` takes."),
        "path": value("string", "The log that it stands in."),
        "format": value("string", "Name of the reader."),
        "train_key": value("string?", "Name of the train loss in the log."),
        "train_points": _COUNT,
        "eval_key": value("string?", "Name of the eval loss in the log."),
        "eval_points": _COUNT,
        "epochs": value("number?", "Epochs done."),
        "written": value("string", "When the log was last written, UTC, ISO 8601."),
        "taken": value("boolean", "Whether the answer is about this one by itself."),
    }
    unread = {
        "name": value("string", "The log."),
        "code": value("string", "Code of the error."),
        "message": value("string", "What was found."),
    }
    return {
        "source": record({"path": value("string", "As it was given.")}),
        "runs": several(record(run), "All runs."),
        "unread": several(record(unread), "Logs that could not be read."),
        "notes": several({"type": "string"}, "What had to be assumed."),
    }


def _history() -> Schema:
    """Return the schema of all commands of `ftadvise history`: each has a key of its own."""
    added = {
        "id": value("integer", "Number of the run, never used again."),
        "path": value("string", "The log."),
        "run": value("string", "Its name in the log; may be empty."),
    }
    const = {"schema": {"const": _HISTORY}}
    entry = {"$ref": "#/$defs/entry"}
    kinds = (
        ("`history add`", {"runs": several(record(added))}),
        ("`history list`, the newest first", {"runs": several(entry)}),
        ("`history show`", {"run": entry}),
        ("`history forget`", {"forgotten": value("integer", "Number of the run.")}),
        ("`history path`", {"path": value("string", "Where the history lies.")}),
    )
    return {
        "$schema": DRAFT,
        "$id": _HISTORY,
        "title": "Outputs of `ftadvise history ... --format json`",
        "anyOf": [record(const | body, said) for said, body in kinds],
        "$defs": {"entry": _entry()},
    }


def _entry() -> Schema:
    home = "ftadvise.history.entries"
    made = of(
        home,
        "Entry",
        "One run of the history.",
        source=source(),
        facts=of("ftadvise.history.facts", "Facts"),
        prediction=or_null(of(home, "Prediction")),
    )
    outcome = or_null(of("ftadvise.history.outcome", "Outcome"))
    return record({**made["properties"], "outcome": outcome}, "One run of the history.")
