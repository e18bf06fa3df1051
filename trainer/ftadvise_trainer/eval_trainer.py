"""EvalTrainer: RowTrainer with an eval loss that is a mean over tokens, however they are cut.

* The eval loss is the sum over tokens divided by the number of trained tokens of the whole eval
  set. transformers takes the mean over batches of the mean over tokens, which changes with the
  eval batch size (transformers issue 39241). No logits outlive their batch.
* An evaluation that the device has no memory for goes on in smaller batches, to the same loss.
* An evaluation can be broken off, so that a preemption notice does not wait for its end.
* An evaluation leaves the random numbers of the training alone.
"""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any, cast

import torch
from accelerate.utils import send_to_device  # type: ignore[import-untyped]

from ftadvise_trainer.data.rows import forwards, is_packed
from ftadvise_trainer.eval_passes import EvalPasses
from ftadvise_trainer.evaluation import (
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


class EvalTrainer(RowTrainer):
    """A `transformers.Trainer` whose eval losses can be compared."""

    def __init__(
        self,
        *args: Any,
        interrupted: Callable[[], bool] | None = None,
        head: Any = None,
        **kwargs: Any,
    ) -> None:
        """Take what `transformers.Trainer` takes.

        Args:
            *args: As for `RowTrainer`.
            interrupted: Asked before each eval batch whether to break the evaluation off. With
                several processes, one yes is enough for all of them.
            head: The model's `FusedHead`, which computes the loss without ever holding all logits;
                None leaves the loss to the model.
            **kwargs: As for `RowTrainer`.
        """
        super().__init__(*args, **kwargs)
        self.interrupted = interrupted
        self.head = head
        self.sums: EvalSums | None = None
        self.eval_passes = EvalPasses(lambda line: self.say(line))

    def prediction_step(
        self, model: Any, inputs: dict[str, Any], prediction_loss_only: bool, *args: Any, **kw: Any
    ) -> tuple[torch.Tensor | None, Any, Any]:
        """Add a batch to the sums of the evaluation; outside of one, do as transformers does.

        The loss is left out of the result, so that transformers averages none.
        """
        if self.sums is None or inputs.get("labels") is None:
            one = {**forwards(inputs)[0]}
            one.pop("places", None)
            step = super().prediction_step(model, one, prediction_loss_only, *args, **kw)
            return cast("tuple[torch.Tensor | None, Any, Any]", step)
        if not prediction_loss_only:
            return self.with_logits(model, inputs)
        nll, tokens = self.eval_passes.sums(
            inputs,
            lambda one: self.nll_of(model, one),
            self.layout,
            alone=not self.is_fsdp_enabled or self.accelerator.num_processes == 1,
        )
        self.sums.add(nll, tokens, padded=not is_packed(inputs))
        return None, None, None

    def nll_of(self, model: Any, one: dict[str, Any]) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the sum of the NLL and the trained tokens of each row of a forward pass."""
        trained = one.get("places")
        given = {name: value for name, value in one.items() if name != "places"}
        given = dict(send_to_device(given, self.accelerator.device))
        labels, shifted = given.pop("labels"), given.pop("shift_labels", None)
        with torch.no_grad(), self.compute_loss_context_manager():
            if self.head is None:
                return nll_by_row(logits_of(model(**given)), labels, shifted)
            with self.head.told(labels, shifted, trained) as told:
                model(**given)
            return told.nll_by_row(), told.tokens_by_row()

    def with_logits(self, model: Any, inputs: dict[str, Any]) -> tuple[None, Any, Any]:
        """Add a batch to the sums, and return its logits and labels for the metrics of a user."""
        assert self.sums is not None
        given = dict(send_to_device({**forwards(inputs)[0]}, self.accelerator.device))
        given.pop("places", None)
        labels, shifted = given.pop("labels"), given.pop("shift_labels", None)
        with torch.no_grad(), self.compute_loss_context_manager():
            logits = logits_of(model(**given))
            self.sums.add(*nll_by_row(logits, labels, shifted))
        return None, logits, labels

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
