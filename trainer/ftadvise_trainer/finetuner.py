"""FineTuner: transformers' Trainer with a loss that is a mean over tokens, however they are cut.

What it changes, and nothing else:

* The training loss is the sum over tokens divided by the number of trained tokens of the whole
  optimizer step, all micro-batches and all processes together. transformers does so for models
  that take `num_items_in_batch`; here it holds for every causal language model.
* The balancing loss of a mixture of experts counts once for a step (`routers`).
* The raw loss of every micro-batch is shown to a `NonFiniteGuard` among the callbacks.
* Evaluations are those of `EvalTrainer`, and the examples of a batch are laid out as in
  `RowTrainer`.
* With `auto_schedule` the learning rate is held until an `AnnealOnOnset` among the callbacks, or
  the end of the run, lets it decay.
"""

from __future__ import annotations

import functools
from typing import Any

import torch
from torch.nn import functional
from transformers import PrinterCallback, ProgressCallback

from ftadvise_trainer import routers
from ftadvise_trainer.auto.schedule import decay_steps, hold_then_decay
from ftadvise_trainer.callbacks.nonfinite import NonFiniteGuard
from ftadvise_trainer.callbacks.progress import Progress
from ftadvise_trainer.data.collate import FirstLabelIgnored
from ftadvise_trainer.errors import TrainError
from ftadvise_trainer.eval_trainer import EvalTrainer
from ftadvise_trainer.evaluation import IGNORED, logits_of
from ftadvise_trainer.memory_errors import OptimizerStep, explained


class FineTuner(EvalTrainer):
    """A `transformers.Trainer` for causal language models whose losses can be compared."""

    def __init__(self, *args: Any, auto_schedule: bool = False, **kwargs: Any) -> None:
        """Take what `transformers.Trainer` takes.

        Args:
            *args: As for `EvalTrainer`.
            auto_schedule: Whether to hold the learning rate until it is told to decay, whatever
                `lr_scheduler_type` says. `lr_scheduler_kwargs` may have `decay_epochs`.
            **kwargs: As for `EvalTrainer`.

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
        self.auto_schedule = auto_schedule
        self.balancing = routers.coefficient(self.model)
        self.step_tokens: Any = None
        self.optimizer_step = OptimizerStep()
        self.add_callback(self.optimizer_step)
        self.data_collator: Any = FirstLabelIgnored(self.data_collator)
        if self.compute_loss_func is None and self.label_smoother is not None:
            # transformers would shift the labels for the models that it knows, and those alone.
            self.compute_loss_func: Any = functools.partial(self.label_smoother, shift_labels=True)
        elif self.compute_loss_func is None and not self.model_accepts_loss_kwargs:
            self.compute_loss_func = token_loss
        if any(isinstance(callback, Progress) for callback in self.callback_handler.callbacks):
            self.remove_callback(PrinterCallback)
            self.remove_callback(ProgressCallback)

    def train(self, *args: Any, **kwargs: Any) -> Any:
        """Train as transformers does.

        Raises:
            TrainError: FT501, the device has no memory for a step, a row or the optimizer.
        """
        with explained(self.optimizer_step, self.args.output_dir):
            return super().train(*args, **kwargs)

    def get_batch_samples(self, epoch_iterator: Any, num_batches: int, device: Any) -> Any:
        """Return the batches of an optimizer step, and count its tokens where they are asked for."""
        batches, items = super().get_batch_samples(epoch_iterator, num_batches, device)
        if self.balancing is not None:
            self.step_tokens = routers.tokens_of_step(batches, self.accelerator, device)
        return batches, items

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
        result: Any
        if self.balancing is not None and self.step_tokens is not None and model.training:
            result = self.balanced_loss(model, inputs, return_outputs, num_items_in_batch)
        elif self.head is None or return_outputs or self.label_smoother is not None:
            result = super().compute_loss(model, inputs, return_outputs, num_items_in_batch)
        else:
            result = self.fused_loss(model, inputs, places, num_items_in_batch)
        loss: torch.Tensor = result[0] if isinstance(result, tuple) else result
        for callback in self.callback_handler.callbacks:
            if isinstance(callback, NonFiniteGuard) and model.training:
                callback.saw(loss, inputs)
        return result

    def balanced_loss(
        self, model: Any, inputs: dict[str, Any], return_outputs: bool, items: Any
    ) -> Any:
        """Return the loss of transformers with this pass's share of the balancing loss."""
        loss, outputs = super().compute_loss(model, {**inputs}, True, items)
        if self.compute_loss_func is None and self.label_smoother is None:
            # transformers multiplies where it has the number of trained tokens.
            times = self.accelerator.num_processes if items is not None else 1
            whole, weight = self.step_tokens, self.balancing
            loss = routers.with_share(loss, outputs, weight or 0.0, inputs, whole, times)
        return (loss, outputs) if return_outputs else loss

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
