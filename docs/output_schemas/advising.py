"""What `analyze`, `forecast` and `replay` write as JSON."""

from __future__ import annotations

from collections.abc import Iterator

from ftadvise.advice import SCHEMA as ADVICE
from ftadvise.reports.joint import SCHEMA as TOGETHER
from ftadvise.reports.jsonout import ERROR_SCHEMA
from ftadvise.rules.case import LEVELS
from output_schemas.pieces import (
    Schema,
    choice,
    document,
    mapping,
    of,
    pair,
    probability,
    record,
    several,
    source,
    value,
)

_HOME = "ftadvise.advice"
_STRATEGY = ("steps", "epoch")


def schemas() -> Iterator[Schema]:
    """Yield the schemas."""
    advice = advised()
    yield document(ADVICE, "Advice of `ftadvise analyze --format json`", advice)
    yield document(TOGETHER, "The answer from several logs of one fine-tune", _together(advice))
    yield document(
        ERROR_SCHEMA,
        "What went wrong with one log of several",
        {
            "source": record({"path": value("string", "As it was given.")}),
            "error": record(
                {
                    "code": value(
                        "string", "`ftadvise rule CODE` explains it.", pattern="^FT[0-9]{3}$"
                    ),
                    "message": value("string", "What was found, in one line."),
                    "hint": value("string", "What to do about it; may be empty."),
                }
            ),
        },
    )
    yield document(
        "ftadvise.forecast/1", "Answer of `ftadvise forecast --format json`", _forecast()
    )
    yield document("ftadvise.replay/1", "Answer of `ftadvise replay --format json`", _replay())


def advised() -> dict[str, Schema]:
    """Return the keys of an advice, without `schema`."""
    epochs = {"type": "number", "minimum": 0}
    count = {"type": "integer", "minimum": 0}
    return {
        "source": source(),
        "observed": of(
            _HOME, "Observed",
            train_points=count, eval_points=count, epochs=epochs, best_epoch=epochs,
            steps_per_epoch={"type": ["number", "null"], "exclusiveMinimum": 0},
            eval_noise={"type": "number", "minimum": 0},
        ),
        "overfitting": of(
            _HOME, "Overfitting", "Where overfitting began.",
            status=choice("detected", "suspected", "none", "not identified"),
            onset_epoch=value("number?", "First logged point past the turning point."),
            interval=pair("90 % interval of the turning point, in epochs.", null=True),
            probability=probability("That the curve behind the points ends above its lowest point."),
        ),
        "recommendation": _recommendation(),
        "keep": of(_HOME, "Keep"),
        "scenarios": several(_scenario(), "Three ways in which the next run may go."),
        "forecast": several(
            of(
                _HOME, "EpochForecast", "",
                epochs=value("number", "Length of the run.", exclusiveMinimum=0),
                median=value("number", "Median."),
                low=value("number", "5 % quantile."),
                high=value("number", "95 % quantile."),
            ),
            "The best loss of a run of so many epochs with a schedule of its own, as a 90 % interval.",
        ),
        "reasons": several({"type": "string"}, "Why, in sentences with their numbers."),
        "findings": several(_finding(), "What was found, with codes."),
    }  # fmt: skip


def _recommendation() -> Schema:
    whole = {"type": "integer", "minimum": 1}
    rule = "Gain in loss below which an evaluation counts as none."
    return of(
        _HOME, "Recommendation", "The next run, by the names of transformers.TrainingArguments.",
        num_train_epochs=value("integer", "Passes over the data.", minimum=1),
        epochs_range=several(whole, minItems=2, maxItems=2),
        eval_strategy=choice(*_STRATEGY, said="`epoch` where the steps in an epoch are unknown."),
        eval_steps=value("integer?", "Optimizer steps between evaluations; null by epoch.", minimum=1),
        save_strategy=choice(*_STRATEGY, said="As eval_strategy."),
        save_steps=value("integer?", "Optimizer steps between checkpoints, as eval_steps.", minimum=1),
        save_total_limit=value("integer", "Checkpoints to keep.", minimum=1),
        load_best_model_at_end=value("boolean", "Always true: the best checkpoint is the answer."),
        metric_for_best_model=value("string", "Name of the loss that says which is best."),
        early_stopping_patience=value("integer", "Evaluations without a gain until it stops.", minimum=1),
        early_stopping_threshold=value("number", rule, minimum=0),
        probability_of_false_stop=probability(),
    )  # fmt: skip


def _scenario() -> Schema:
    names = choice("normal convergence", "continued improvement", "early convergence")
    return of(_HOME, "Scenario", name=names, probability=probability())


def _finding() -> Schema:
    return of(
        "ftadvise.rules.case",
        "Finding",
        code=value("string", "`ftadvise rule CODE` explains it."),
        level=choice(*LEVELS),
        evidence=mapping({"type": ["number", "string", "null"]}),
    )


def _together(advice: dict[str, Schema]) -> dict[str, Schema]:
    keep = {
        "path": value("string", "The log of that run."),
        "epoch": value("number", "Where that checkpoint is."),
        "eval_loss": value("number", "Its loss, as logged."),
        "expected_eval_loss": value("number?", "Its loss with the luck of the draw taken off."),
    }
    return {
        "same": several({"type": "string"}, "The logs of one fine-tune."),
        "why": value("string", "What they share."),
        "others": several(
            {"type": "string"}, "Logs of another fine-tune, which are not counted in."
        ),
        "keep": record(keep, "The best checkpoint of all runs."),
        "advice": record({"schema": {"const": ADVICE}, **advice}, "The answer from all of them."),
    }


def _forecast() -> dict[str, Schema]:
    return {
        "source": source(),
        "at": value("number", "The epoch that was asked for.", exclusiveMinimum=0),
        "epochs": value("number?", "Length of the run that was asked for; null for this one."),
        "target": choice("eval", "train", said="Which loss it is."),
        "median": value("number?", "Median; null when it is not finite."),
        "low": value("number?", "5 % quantile."),
        "high": value("number?", "95 % quantile."),
    }


def _replay() -> dict[str, Schema]:
    count = {"type": "integer", "minimum": 1}
    return {
        "source": source(),
        "replays": several(
            of(
                "ftadvise.policies", "Replay",
                series=choice("eval", "train"), unit=choice("epoch", "step", "evaluation"),
                stop_epoch=value("number?"), best_epoch=value("number?"),
                best_loss=value("number?"), regret=value("number?"),
                evals_spent=count, evals_total=count,
            ),
            "One for each policy, in the order in which they were asked for.",
        ),
    }  # fmt: skip
