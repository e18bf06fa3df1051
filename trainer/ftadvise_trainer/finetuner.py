"""FineTuner: transformers' Trainer with a loss that is a mean over tokens, however they are cut.

What it changes, and nothing else:

* The training loss is the sum over tokens divided by the number of trained tokens of the whole
  optimizer step, all micro-batches and all processes together. transformers does so for models
  that take `num_items_in_batch`; here it holds for every causal language model.
* The eval loss is the sum over tokens divided by the number of trained tokens of the whole eval
  set. transformers takes the mean over batches of the mean over tokens, which changes with the
  eval batch size (transformers issue 39241). No logits outlive their batch.
* An evaluation can be broken off, so that a preemption notice does not wait for its end.
* An evaluation leaves the random numbers of the training alone.
* The raw loss of every micro-batch is shown to a `NonFiniteGuard` among the callbacks.
* The examples of a batch are laid out as in `RowTrainer`.
* With `auto_schedule` the learning rate is held until an `AnnealOnOnset` among the callbacks, or
  the end of the run, lets it decay.
"""

from __future__ import annotations

import functools
import math
from typing import TYPE_CHECKING, Any, cast

import torch
from accelerate.utils import send_to_device  # type: ignore[import-untyped]
from torch.nn import functional
from transformers import PrinterCallback, ProgressCallback

from ftadvise_trainer.auto.schedule import decay_steps, hold_then_decay
from ftadvise_trainer.callbacks.nonfinite import NonFiniteGuard
from ftadvise_trainer.callbacks.progress import Progress
from ftadvise_trainer.data.collate import counted
from ftadvise_trainer.data.rows import forwards, is_packed, trained_places
from ftadvise_trainer.errors import TrainError
from ftadvise_trainer.evaluation import (
    IGNORED,
    INTERRUPTED,
    EvalSums,
    Interruptible,
    follows_eval_loss,
    logits_of,
    nll_by_row,
    random_numbers_kept,
)
from ftadvise_trainer.row_trainer import RowTrainer

if TYPE_CHECKING:
    from collections.abc import Callable

    from transformers.trainer_utils import EvalLoopOutput


class FineTuner(RowTrainer):
    """A `transformers.Trainer` for causal language models whose losses can be compared."""

    def __init__(
        self,
        *args: Any,
        interrupted: Callable[[], bool] | None = None,
        auto_schedule: bool = False,
        head: Any = None,
        **kwargs: Any,
    ) -> None:
        """Take what `transformers.Trainer` takes.

        Args:
            *args: As for `RowTrainer`.
            interrupted: Asked before each eval batch whether to break the evaluation off. With
                several processes, one yes is enough for all of them.
            auto_schedule: Whether to hold the learning rate until it is told to decay, whatever
                `lr_scheduler_type` says. `lr_scheduler_kwargs` may have `decay_epochs`.
            head: The model's `FusedHead`, which computes the loss without ever holding all logits;
                None leaves the loss to the model.
            **kwargs: As for `RowTrainer`.

        Raises:
            TrainError: FT501 when tokens are to be averaged by process instead of over all.
        """
        super().__init__(*args, **kwargs)
        if self.accelerator.num_processes > 1 and not self.args.average_tokens_across_devices:
            raise TrainError(
                "average_tokens_across_devices is off: each process would average over its own "
                "tokens, and the loss would depend on the number of processes",
                hint="Leave average_tokens_across_devices out of the settings.",
            )
        self.interrupted = interrupted
        self.auto_schedule = auto_schedule
        self.head = head
        self.sums: EvalSums | None = None
        self.data_collator: Any = FirstLabelIgnored(self.data_collator)
        if self.compute_loss_func is None and self.label_smoother is not None:
            # transformers would shift the labels for the models that it knows, and those alone.
            self.compute_loss_func: Any = functools.partial(self.label_smoother, shift_labels=True)
        elif self.compute_loss_func is None and not self.model_accepts_loss_kwargs:
            self.compute_loss_func = token_loss
        if any(isinstance(callback, Progress) for callback in self.callback_handler.callbacks):
            self.remove_callback(PrinterCallback)
            self.remove_callback(ProgressCallback)

    def create_scheduler(self, num_training_steps: int, optimizer: Any = None) -> Any:
        """Return the scheduler of transformers, or the one that holds its rate."""
        if self.auto_schedule and self.lr_scheduler is None:
            peak: Any = optimizer or self.optimizer
            dataset: Any = self.train_dataset
            size = None if self.layout is None else self.layout.batch_size
            self.lr_scheduler: Any = hold_then_decay(
                peak,
                num_training_steps,
                decay_steps=decay_steps(self.args, num_training_steps, dataset, size),
                warmup_steps=int(self.args.get_warmup_steps(num_training_steps)),
            )
        return super().create_scheduler(num_training_steps, optimizer)

    def compute_loss(
        self,
        model: Any,
        inputs: dict[str, Any],
        return_outputs: bool = False,
        num_items_in_batch: Any = None,
    ) -> Any:
        """Return the loss as transformers does, and show it to the guards."""
        places = inputs.pop("places", None)
        if self.head is None or return_outputs or self.label_smoother is not None:
            result: Any = super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        else:
            result = self.fused_loss(model, inputs, places, num_items_in_batch)
        loss: torch.Tensor = result[0] if isinstance(result, tuple) else result
        for callback in self.callback_handler.callbacks:
            if isinstance(callback, NonFiniteGuard) and model.training:
                callback.saw(loss, inputs)
        return result

    def fused_loss(
        self, model: Any, inputs: dict[str, Any], places: Any, items: Any
    ) -> torch.Tensor:
        """Return the loss of transformers, computed by the head: a sum over tokens by `items`."""
        given = {name: value for name, value in inputs.items() if name != "labels"}
        with self.head.told(inputs["labels"], places=places) as told:
            outputs = model(**given)
        nll: torch.Tensor = told.sum(outputs)
        # DDP and FSDP take the mean of the gradients over processes.
        share: Any = 1 / told.tokens if items is None else self.accelerator.num_processes / items
        return torch.mul(nll, share)

    def prediction_step(
        self, model: Any, inputs: dict[str, Any], prediction_loss_only: bool, *args: Any, **kw: Any
    ) -> tuple[torch.Tensor | None, Any, Any]:
        """Add a batch to the sums of the evaluation; outside of one, do as transformers does.

        The loss is left out of the result, so that transformers averages none.
        """
        packed = is_packed(inputs)
        passes = [{**one} for one in forwards(inputs)]
        places = [one.pop("places", None) for one in passes]
        if self.sums is None or inputs.get("labels") is None:
            step = super().prediction_step(model, passes[0], prediction_loss_only, *args, **kw)
            return cast("tuple[torch.Tensor | None, Any, Any]", step)
        logits: Any = None
        labels: Any = None
        for one, trained in zip(passes, places, strict=True):
            given = dict(send_to_device(one, self.accelerator.device))
            labels, shifted = given.pop("labels"), given.pop("shift_labels", None)
            with torch.no_grad(), self.compute_loss_context_manager():
                if self.head is None or not prediction_loss_only:
                    logits = logits_of(model(**given))
                    sums = nll_by_row(logits, labels, shifted)
                else:
                    with self.head.told(labels, shifted, trained) as told:
                        model(**given)
                    sums = told.nll_by_row(), told.tokens_by_row()
                self.sums.add(*sums, padded=not packed)
        return (None, None, None) if prediction_loss_only else (None, logits, labels)

    def evaluate(self, *args: Any, **kwargs: Any) -> dict[str, float]:
        """Evaluate as transformers does; the training goes on with the same random numbers.

        `metric_for_best_model` is NaN in what an evaluation returns that was broken off: transformers
        compares it with the best so far, and raises where it is absent. It stands in no log.
        """
        with random_numbers_kept(self.args.device):
            metrics: dict[str, float] = super().evaluate(*args, **kwargs)
        wanted = self.args.metric_for_best_model
        if wanted and any(key.endswith(f"_{INTERRUPTED}") for key in metrics):
            metrics.setdefault("eval_" + wanted.removeprefix("eval_"), math.nan)
        return metrics

    def evaluation_loop(self, dataloader: Any, *args: Any, **kwargs: Any) -> EvalLoopOutput:
        """Evaluate, with the loss as the sum over all tokens divided by their number.

        Metrics besides those of transformers: `eval_tokens`, the trained tokens that `eval_loss`
        is the mean over. An evaluation that was broken off has neither of the two, and
        `eval_interrupted` instead. Label smoothing does not enter the eval loss.
        """
        prefix = cast("str", kwargs.get("metric_key_prefix", args[3] if len(args) > 3 else "eval"))
        whole = follows_eval_loss(self.lr_scheduler)
        self.sums = sums = EvalSums(self.accelerator, None if whole else self.interrupted)
        try:
            loader: Any = Interruptible(dataloader, sums)
            output: Any = super().evaluation_loop(loader, *args, **kwargs)
        finally:
            self.sums = None
        nll, tokens = sums.total()
        metrics = cast("dict[str, float]", output.metrics)
        if sums.broken_off:
            metrics[f"{prefix}_{INTERRUPTED}"] = 1.0
        elif tokens is not None:
            metrics[f"{prefix}_loss"] = nll / tokens if tokens else float("nan")
            metrics[f"{prefix}_tokens"] = tokens
        return cast("EvalLoopOutput", output)


class FirstLabelIgnored:
    """A collator whose first label in each row is not trained, and that counts its batches.

    Nothing predicts the first token, so this changes no loss. It makes the number of labels the
    number of trained tokens, which transformers gets wrong for models it does not know.
    """

    def __init__(self, collator: Callable[[Any], Any]) -> None:
        """Wrap `collator`."""
        self.collator = collator

    def __call__(self, rows: Any) -> Any:
        """Collate `rows`."""
        batch = self.collator(rows)
        labels = batch.get("labels") if hasattr(batch, "get") else None
        if isinstance(labels, torch.Tensor) and labels.dim() > 1 and "shift_labels" not in batch:
            batch["labels"] = labels = labels.clone()  # it may be `input_ids` itself
            labels[..., 0] = IGNORED
        if isinstance(batch, dict) and (counts := counted(batch)) is not None:
            batch["counts"] = counts
            batch["places"] = trained_places(batch["labels"])
        return batch


def token_loss(
    outputs: Any, labels: torch.Tensor, num_items_in_batch: torch.Tensor | int | None = None
) -> torch.Tensor:
    """Return the loss of a model that cannot be told the number of trained tokens of the step."""
    logits = logits_of(outputs)[:, :-1].float()
    wanted = labels[:, 1:].to(logits.device)
    total = functional.cross_entropy(
        logits.flatten(0, 1), wanted.flatten(), ignore_index=IGNORED, reduction="sum"
    )
    return total / (wanted.ne(IGNORED).sum() if num_items_in_batch is None else num_items_in_batch)


def needs_eval(log_history: list[dict[str, Any]]) -> bool:
    """Return whether the newest evaluation was broken off, so that a resume has to redo it.

    `TrainingArguments(eval_on_start=True)` redoes it before the first step.
    """
    for row in reversed(log_history):
        if any(key.endswith("_runtime") and not key.startswith("train") for key in row):
            return any(key.endswith(f"_{INTERRUPTED}") for key in row)
    return False
