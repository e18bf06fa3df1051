"""What is left when a run has ended: its best model, the best of all runs, a row in the history."""

from __future__ import annotations

import contextlib
import json
import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ftadvise
from ftadvise import history
from ftadvise.history.outcome import judged
from ftadvise.numbers import short
from ftadvise.text import clean
from ftadvise_trainer.auto.next_run import METRICS, publish_best
from ftadvise_trainer.auto.record import close
from ftadvise_trainer.data import cache
from ftadvise_trainer.errors import TrainError
from ftadvise_trainer.job import Outcome
from ftadvise_trainer.processes.sharded import eval_loss_with, is_sharded
from ftadvise_trainer.saving import checkpoints
from ftadvise_trainer.saving.averaging import Average, greedy, mean_weights, write_mean
from ftadvise_trainer.saving.durable import write_atomically
from ftadvise_trainer.saving.final import BUILDING, FINAL, publish
from ftadvise_trainer.scoring import (
    eval_loss_of,
    merged_adapter,
    scorer_of,
    set_weights_of_all,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from ftadvise.history import Prediction
    from ftadvise_trainer.callbacks.best_k import BestK
    from ftadvise_trainer.finetuner import FineTuner
    from ftadvise_trainer.job import Job


def finish(job: Job, trainer: FineTuner, keep: BestK, stopped: dict[str, Any] | None) -> Outcome:
    """Publish the best model: rank 0 does, and all processes score it as they did in the run."""
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
    average: Average | None = None

    def score(folder: Path) -> float:
        trainer.accelerator.wait_for_everyone()  # until rank 0 has made the folder
        if is_sharded(trainer.model):
            return eval_loss_with(trainer, lambda: mean_weights([folder]))
        return eval_loss_of(folder, config, trainer, job.tokenizer, job.prepared, job.remote_code)

    averages = config.training.average_checkpoints and config.training.load_best_model_at_end
    if averages and best is not None:
        average = _average(job, trainer, chosen)
    recorded = average.eval_loss if average else manifest.eval_loss if manifest else None
    final = output / FINAL
    if trainer.is_world_process_zero():
        final = publish(chosen, output, score, recorded, finish=_last_touch(job, average))
        if average is not None:
            note_average(output / METRICS, average)
        cache.clear(output)  # the run has its end behind it
    elif recorded is not None:
        score(output / BUILDING)
    return Outcome(final, best, stopped, lines=_said(average, best))


def _average(job: Job, trainer: FineTuner, chosen: Path) -> Average | None:
    """Return the checkpoints whose mean has a lower eval loss than the best one alone."""
    there = checkpoints.listed(chosen.parent)
    losses = [(path, one.eval_loss) for path, one in there if one.eval_loss is not None]
    whole = [one for one in losses if not checkpoints.problems(one[0])]
    if len(whole) < 2:
        return None
    if is_sharded(trainer.model):
        return greedy(
            whole, lambda folders: eval_loss_with(trainer, lambda: mean_weights(folders))
        )
    with scorer_of(
        chosen, job.config, trainer, job.tokenizer, job.prepared, job.remote_code
    ) as scorer:
        first = trainer.is_world_process_zero()

        def score(folders: Sequence[Path]) -> float:
            fits = set_weights_of_all(scorer.model, first, lambda: mean_weights(folders))
            return float(scorer.evaluate()["eval_loss"]) if fits else math.nan

        return greedy(whole, score)


def _last_touch(job: Job, average: Average | None) -> Callable[[Path], None] | None:
    """Return what is left to do in the folder that becomes `final`."""
    lora = job.config.lora
    merge = merged_adapter(job.config, job.remote_code) if lora and lora.merge else None
    if average is None:
        return merge
    members = average.members

    def touch(folder: Path) -> None:
        write_mean(members, folder)
        if merge is not None:
            merge(folder)

    return touch


def note_average(metrics: Path, average: Average) -> None:
    """Write into `training_metrics.json` what `final` is the mean of, and its eval loss."""
    with contextlib.suppress(OSError, ValueError):  # the run is done; its model is what counts
        body: dict[str, Any] = json.loads(metrics.read_text(encoding="utf-8"))
        steps = [_step(path) for path in average.members]
        body["averaged"] = {"eval_loss": average.eval_loss, "steps": steps}
        write_atomically(metrics, (json.dumps(body, allow_nan=False, indent=1) + "\n").encode())


def _step(checkpoint: Path) -> int:
    return int(checkpoint.name.rpartition("-")[2])


def _said(average: Average | None, best: dict[str, Any] | None) -> tuple[str, ...]:
    if average is None or best is None:
        return ()
    steps = ", ".join(str(_step(path)) for path in average.members)
    lower, alone = short(average.eval_loss), short(best["eval_loss"])
    line = f"final is the mean of the checkpoints of steps {steps}: eval loss {lower}"
    return (f"{line}, the best of them alone {alone}",)


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
