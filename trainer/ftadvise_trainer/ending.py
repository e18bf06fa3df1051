"""What is left when a run has ended: its best model, the best of all runs, a row in the history."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ftadvise
from ftadvise import history
from ftadvise.history.outcome import judged
from ftadvise.text import clean
from ftadvise_trainer import checkpoints
from ftadvise_trainer.auto_record import close
from ftadvise_trainer.errors import TrainError
from ftadvise_trainer.final import FINAL, publish
from ftadvise_trainer.job import Outcome
from ftadvise_trainer.next_run import METRICS, publish_best
from ftadvise_trainer.scoring import eval_loss_of, merged_adapter

if TYPE_CHECKING:
    from ftadvise.history import Prediction
    from ftadvise_trainer.callbacks.best_k import BestK
    from ftadvise_trainer.finetuner import FineTuner
    from ftadvise_trainer.job import Job


def finish(job: Job, trainer: FineTuner, keep: BestK, stopped: dict[str, Any] | None) -> Outcome:
    """Publish the best model; rank 0 does, and a single process also loads it again to score it."""
    config = job.config
    output = Path(config.output_dir)
    chosen = keep.best() if config.training.load_best_model_at_end else None
    chosen = chosen or checkpoints.newest_valid(output)[0]
    if chosen is None:
        raise TrainError(
            "The run has left no checkpoint to make the final model from",
            hint="Set training.save_strategy, or run for at least one epoch.",
            code="FT505",
        )
    manifest = checkpoints.read_manifest(chosen)
    best = (
        None
        if manifest is None
        else {"eval_loss": manifest.eval_loss, "epoch": manifest.epoch, "step": manifest.step}
    )
    final = output / FINAL
    if trainer.is_world_process_zero():
        alone = int(os.environ.get("WORLD_SIZE", "1")) == 1

        def score(folder: Path) -> float:
            return eval_loss_of(
                folder, config, trainer, job.tokenizer, job.prepared, job.remote_code
            )

        merge = config.lora is not None and config.lora.merge
        last_touch = merged_adapter(config, job.remote_code) if merge else None
        final = publish(chosen, output, score if alone else None, finish=last_touch)
    return Outcome(final, best, stopped)


def closed(folder: Path, output: Path, prediction: Prediction | None) -> tuple[Path, list[str]]:
    """Return the best model of all runs in `output`, and what to tell the person who watches.

    Args:
        folder: The run that has ended, `output` itself or below it.
        output: The folder of all runs.
        prediction: What had been foretold of the run.
    """
    lines = remember(folder / METRICS, prediction)
    final, said = publish_best(folder, output)
    close(folder)
    return final, [*lines, said]


def remember(metrics: Path, prediction: Prediction | None = None) -> list[str]:
    """Put a run into the history; a run never fails of it, and what goes wrong is returned."""
    if not history.enabled():
        return []
    try:
        run = ftadvise.read(metrics)
        own = history.add(run, history.facts_near(metrics), prediction)
        found = history.outcome(history.entry(own))
    except Exception as error:  # noqa: BLE001 - the model is saved: nothing here may fail the run
        return [f"warning: not in the history: {clean(error, 300)}"]
    if prediction is None or found is None:
        return []
    return [f"eval loss: {judged(found)} (`ftadvise history show {own}`)"]
