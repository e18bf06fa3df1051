"""What `train` writes: metrics, the manifest of a checkpoint, and what `--auto` chose."""

from __future__ import annotations

from collections.abc import Iterator

from reference_pages.source import constant

from ftadvise_trainer.settings.keys import RESERVED, SECTIONS
from output_schemas.pieces import (
    DRAFT,
    Schema,
    anything,
    document,
    mapping,
    of,
    or_null,
    record,
    several,
    value,
)  # fmt: skip

SETTINGS = "ftadvise.training"
_COUNT = {"type": "integer", "minimum": 0}
_STEP = {"type": ["integer", "null"], "minimum": 0}
_HASH = {"type": "string", "pattern": "^[0-9a-f]{64}$"}
_METRICS = "ftadvise_trainer.callbacks.metrics"


def schemas() -> Iterator[Schema]:
    """Yield the schemas."""
    optional = ("model", "data", "config", "config_hash", "versions", "speed")
    yield document(
        str(constant(_METRICS, "SCHEMA")),
        "`training_metrics.json`: the metrics of a run",
        _metrics(),
        optional,
    )
    yield document(
        str(constant("ftadvise_trainer.saving.manifest", "SCHEMA")),
        "`MANIFEST.json`: what makes a checkpoint valid",
        _manifest(),
    )
    yield _settings()
    yield document(
        str(constant("ftadvise_trainer.auto.record", "SCHEMA")),
        "`auto.json`: what `train --auto` chose",
        _auto(),
    )


def _metrics() -> dict[str, Schema]:
    best = {
        "eval_loss": value("number", "That loss."),
        "epoch": value("number?", "Where it was measured."),
        "step": {"description": "Optimizer steps done there.", **_STEP},
        "checkpoint": value("string?", "Its folder, while it is kept."),
    }
    stopped = {
        "reason": value("string", "In words."),
        "epoch": value("number?", "Where it ended."),
        "step": {"description": "Optimizer steps done.", **_STEP},
        "policy": value("string?", "What stopped it; null at the planned end."),
        "rows": several({"type": "integer"}, "Train examples of the batch that was not finite."),
        "batch": several({"type": "string"}, "First 16 digits of the SHA-256 of its tokens."),
    }
    kept = {
        "path": value("string", "Its folder."),
        "step": {"description": "Optimizer step.", **_STEP},
        "epoch": value("number?", "Passes over the data."),
        "eval_loss": value("number?", "Eval loss of its weights."),
    }
    speed = of("ftadvise_trainer.callbacks.speeds", "Speed", "How fast the session is.")
    return {
        "model": value("string?", "The model that was fine-tuned, as the YAML names it."),
        "data": _data(),
        "config": anything("All settings, with every default."),
        "config_hash": {"description": "SHA-256 of the settings.", **_HASH},
        "versions": mapping({"type": "string"}, "Of Python, ftadvise, torch and transformers."),
        "best": or_null(record(best, "The lowest eval loss.")),
        "stopped": or_null(
            record(stopped, "Why the run ended; null while it goes on.", ("rows", "batch"))
        ),
        "checkpoints": several(record(kept, optional=("step",)), "Those that are kept."),
        "speed": or_null(speed),
        "history": several(_row(), "One row for each step that was logged or evaluated."),
    }


def _data() -> Schema:
    side = of("ftadvise_trainer.data.report", "SideReport", dropped=mapping(_COUNT))
    report = of(
        "ftadvise_trainer.data.report",
        "DataReport",
        train=side,
        eval=side,
        notes=several({"type": "string"}),
    )
    kept = {name: made for name, made in report["properties"].items() if name != "example"}
    fingerprint = value("string", "Of the train side, as tokens.")
    whole = {"fingerprint": fingerprint, **kept}
    return record(whole, "What became of the data.", ("day",))


def _row() -> Schema:
    columns: dict[str, object] = dict(constant(_METRICS, "COLUMNS"))
    measured = tuple(constant(_METRICS, "MEASURED"))
    made = {name: value("number?", _COLUMNS.get(name, "")) for name in (*columns, *measured)}
    return record(made, "", measured)


_COLUMNS = {
    "step": "Optimizer steps done.",
    "epoch": "Passes over the data.",
    "loss": "Mean train loss since the row before.",
    "eval_loss": "Mean over the trained tokens of the eval side.",
    "learning_rate": "At that step.",
    "grad_norm": "Before clipping.",
    "tokens": "Tokens trained on so far.",
    "tokens_per_second": "Without evaluations and saving.",
    "mfu": "Model FLOPs over the peak of the devices.",
    "padding_share": "Padded places over all places.",
    "data_wait_share": "Share of the time that went by waiting for the next batch.",
}


def _manifest() -> dict[str, Schema]:
    file = record({"size": {"description": "Bytes.", **_COUNT}, "sha256": _HASH})
    made = of(
        "ftadvise_trainer.saving.manifest",
        "Manifest",
        step={"description": "Optimizer step.", **_COUNT},
        epoch=value("number?", "Passes over the data so far."),
        eval_loss=value("number?", "Eval loss of these weights."),
        config_hash=value("string?", "SHA-256 of the settings."),
        settings=anything("What is compared before a run goes on from here."),
        files=mapping(file, "Size and SHA-256 of every file."),
    )
    own = {"description": "SHA-256 of the manifest without this line.", **_HASH}
    return {**made["properties"], "sha256": own}


def _auto() -> dict[str, Schema]:
    prediction = of("ftadvise.history.entries", "Prediction")
    made = of(
        "ftadvise_trainer.auto.choice",
        "Choice",
        settings=anything("Settings of `training:` that were chosen."),
        why=mapping({"type": "string"}, "Where each comes from."),
        lines=several({"type": "string"}, "The same for people."),
        prediction=or_null(prediction),
    )
    closed = value("boolean", "Whether nothing is left to do after the run.")
    return {"closed": closed, **made["properties"]}


def _settings() -> Schema:
    """Return the schema of a training YAML, for editors that complete and check by one."""
    sections = {name: _section(name) for name in SECTIONS}
    training = sections["training"]
    training["additionalProperties"] = True  # any other key of transformers.TrainingArguments
    training["propertyNames"] = {"not": {"enum": sorted(RESERVED)}}
    return {
        "$schema": DRAFT,
        "$id": SETTINGS,
        "title": "A training YAML, which `ftadvise train` reads",
        **record(sections, "", ("training", "lora")),
    }


def _section(name: str) -> Schema:
    kind = SECTIONS[name].__name__
    names = {"anyOf": [several({"type": "string"}), {"type": "string"}]}
    lists = {"lora": {"target_modules": names}, "training": {"report_to": names, "more": {}}}
    made = of("ftadvise_trainer.config", kind, None, **lists.get(name, {}))
    made["properties"].pop("more", None)
    made["required"] = []
    return made
