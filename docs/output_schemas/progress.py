"""What `watch` writes as JSON lines."""

from __future__ import annotations

from collections.abc import Iterator

from ftadvise.reports.watching import SCHEMA as PROGRESS
from output_schemas.pieces import Schema, choice, document, or_null, probability, record, value


def schemas() -> Iterator[Schema]:
    """Yield the schema of one evaluation of a run in progress."""
    ahead = {
        "epoch": value("number", "The epoch it is of."),
        "median": value("number?", "Median."),
        "low": value("number?", "5 % quantile."),
        "high": value("number?", "95 % quantile."),
    }
    yield document(
        PROGRESS,
        "One evaluation of a run in progress: a line of `ftadvise watch --format jsonl`",
        {
            "target": choice("eval", "train", said="The loss that is judged."),
            "epoch": value("number?", "Of the evaluation."),
            "step": value("number?", "Optimizer steps done."),
            "eval_loss": value("number?", "Null where the train loss is judged."),
            "train_loss": value("number?", "The last one before it."),
            "best_eval_loss": value("number?", "Lowest so far."),
            "best_epoch": value("number?", "Where that was."),
            "planned_epochs": value("number?", "Epochs that the run is planned for."),
            "forecast": or_null(
                record(ahead, "The loss at the end of the run, as a 90 % interval.")
            ),
            "probability_of_improvement": probability(
                "That the run ends one percent better than its best so far.", "number?"
            ),
            "stop": value("boolean", "Whether to stop it now."),
            "reason": value("string", "Why."),
            "seconds_per_epoch": value("number?", "As it goes now."),
            "seconds_left": value("number?", "Until the planned end."),
            "ended": value("string?", "How the run ended; null while it goes on."),
        },
    )
