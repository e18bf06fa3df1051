"""RowTrainer: transformers' Trainer, whose batches may be several rows that follow one another.

What it changes, and nothing else:

* With a `layout` the examples of a batch are laid end to end in rows, and go through the model row
  by row. Loss and gradients of an optimizer step are those of the padded batch, to rounding.
* With a `batch_size` in the layout an optimizer step has as many examples on any number of
  processes, and the same ones.
* SIGTERM and SIGINT do not end the workers of the data loaders.
* Tokens are counted where batches are made. `include_num_input_tokens_seen` of transformers waits
  for the device after every batch; where it is off they stand in the log all the same.
"""

from __future__ import annotations

import contextlib
import logging
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch
from transformers import Trainer

from ftadvise_trainer.callbacks.token_count import TokenCount
from ftadvise_trainer.data.collate import PackedCollator
from ftadvise_trainer.data.rows import blank, forwards, relaid, too_wide
from ftadvise_trainer.errors import TrainError
from ftadvise_trainer.loaders import can_be_packed, eval_loader, follow, train_loader
from ftadvise_trainer.processes.sharded import insist
from ftadvise_trainer.speed.row_size import smaller
from ftadvise_trainer.workers import obeying_parent

if TYPE_CHECKING:
    from collections.abc import Callable

    from ftadvise_trainer.data.packing import Layout


class RowTrainer(Trainer):  # type: ignore[misc]  # transformers has no types
    """A `transformers.Trainer` that packs."""

    def __init__(self, *args: Any, layout: Layout | None = None, **kwargs: Any) -> None:
        """Take what `transformers.Trainer` takes.

        Args:
            *args: As for `transformers.Trainer`.
            layout: How examples are laid out; None leaves that to transformers and the collator.
            **kwargs: As for `transformers.Trainer`.
        """
        super().__init__(*args, **kwargs)
        self.data_collator: Any
        self.layout = layout
        self.step_batches: list[dict[str, Any]] = []
        self.makes_rows: Any = None
        self.say: Callable[[str], object] = logging.getLogger(__name__).warning
        self.token_count = TokenCount(self.accelerator)
        self.add_callback(self.token_count)

    def create_accelerator_and_postprocess(self) -> None:
        """As transformers does; a model that is to be cut into parts is so on CPUs too."""
        super().create_accelerator_and_postprocess()
        insist(self)

    def get_train_dataloader(self) -> Any:
        """Return the loader of transformers, whose workers leave signals to this process.

        With a `batch_size` in the layout it is a loader of our own; without, its batches are those
        of transformers, and only laid out otherwise.
        """
        layout = self.layout
        if layout is not None and layout.batch_size is not None:
            self.makes_rows = train_loader(self.train_dataset, layout, self.args, self.accelerator)
            return self.makes_rows
        collator: Any = self.data_collator
        if layout is not None and layout.row_tokens is not None:
            self.makes_rows = self.data_collator = PackedCollator(layout)
        try:
            return obeying_parent(super().get_train_dataloader())
        finally:
            self.data_collator = collator

    def get_eval_dataloader(self, eval_dataset: Any = None) -> Any:
        """As `get_train_dataloader`; packed, it is a loader of our own, in rows and not batches."""
        found: Any = self.eval_dataset if eval_dataset is None else eval_dataset
        if isinstance(found, str):
            sets: Any = self.eval_dataset
            found = sets[found]
        layout = self.layout
        only_loss = self.compute_metrics is None and self.args.prediction_loss_only
        if (
            layout is None
            or layout.row_tokens is None
            or not only_loss
            or not can_be_packed(found)
        ):
            return obeying_parent(super().get_eval_dataloader(eval_dataset))
        return eval_loader(found, layout, self.args, self.accelerator)

    def get_batch_samples(self, epoch_iterator: Any, num_batches: int, device: Any) -> Any:
        """Return the batches of an optimizer step; with FSDP, of as many rows on each process.

        With a `batch_size` the plan sees to that. Without, and with DDP, it need not be so: only
        the last backward pass of a process meets those of the others.
        """
        batches, items = super().get_batch_samples(epoch_iterator, num_batches, device)
        self.step_batches = []
        layout = self.layout
        if layout is None or layout.batch_size is not None or not self.is_fsdp_enabled:
            return batches, items
        own = [len(forwards(batch)) for batch in batches]
        every: Any = self.accelerator.gather(torch.tensor([own], device=device))
        for batch, mine, most in zip(batches, own, every.amax(dim=0).tolist(), strict=True):
            batch["blanks"] = most - mine
        return batches, items

    def training_step(
        self, model: Any, inputs: dict[str, Any], num_items_in_batch: Any = None
    ) -> torch.Tensor:
        """Go through the rows of a batch, and return the sum of their losses.

        A row that the device has no memory for is made shorter, and so are all that follow. What
        the optimizer step has gone through is then gone through again: its gradients were lost.

        Raises:
            TrainError: FT501, no room for a row that cannot be made shorter, or on one of several
                processes: the others wait in the middle of a step.
        """
        self.count(inputs)
        self.step_batches.append(inputs)
        loss = self.tried(model, [inputs], num_items_in_batch)
        while loss is None:
            # Here, out of the handler's reach, what the failed pass held is free.
            torch.cuda.empty_cache()
            model.zero_grad()
            loss = self.tried(model, self.step_batches, num_items_in_batch)
        return loss

    def tried(self, model: Any, batches: list[Any], items: Any) -> torch.Tensor | None:
        """Go through batches, and return the loss of the last; None when rows have to be shorter."""
        try:
            return [self.through_rows(model, batch, items) for batch in batches][-1]
        except torch.OutOfMemoryError as error:
            self.shorten_rows(error)
            return None

    def through_rows(self, model: Any, batch: dict[str, Any], items: Any) -> torch.Tensor:
        """Go forward and backward for each row of a batch.

        Gradients are summed over processes (DDP) in the last row's backward pass alone. Sharded
        ones (FSDP) in each: a process has no room for whole ones.
        """
        if self.layout is not None and too_wide(batch, self.layout):
            batch = relaid(batch, self.layout)
        rows = forwards(batch)
        if self.layout is not None:
            rows += [blank(batch, self.layout.pad_id)] * batch.get("blanks", 0)
        losses: list[torch.Tensor] = []
        for row in rows:
            last = len(losses) == len(rows) - 1
            summed = last or self.is_fsdp_enabled
            with contextlib.nullcontext() if summed else self.accelerator.no_sync(model):
                losses.append(super().training_step(model, row, items))
        return losses[0] if len(losses) == 1 else torch.stack(losses).sum()

    def shorten_rows(self, error: torch.OutOfMemoryError) -> None:
        """Halve the tokens of a row after the device ran out of memory, or raise."""
        layout = self.layout
        if layout is None or layout.row_tokens is None:
            raise TrainError(
                "out of memory in a forward or backward pass",
                hint="Set training.per_device_train_batch_size or data.max_length lower, or "
                "training.gradient_checkpointing to true.",
            ) from error
        rows = [row for batch in self.step_batches for row in batch.get("documents", ())]
        longest = max((length for row in rows for length in row), default=0)
        # Rows are balanced, and may have been shorter than they could be.
        widest = min(layout.row_tokens, max(map(sum, rows), default=0))
        alone = self.accelerator.num_processes == 1
        tokens = smaller(widest, longest) if alone else None
        if tokens is None:
            raise TrainError(
                f"out of memory with rows of {widest:,} tokens (the longest example of the step "
                f"has {longest:,})",
                hint=f"Set training.row_tokens below {widest}, data.max_length lower, or "
                "training.gradient_checkpointing to true.",
            ) from error
        self.layout = replace(layout, row_tokens=tokens)
        follow(self.makes_rows, self.layout)
        self.say(
            f"out of memory with rows of {widest:,} tokens: from here on they have at most "
            f"{tokens:,}, with the same examples in a step (training.row_tokens)"
        )

    def count(self, inputs: dict[str, Any]) -> None:
        """Count what a batch holds, for the state and for callbacks that have a method `packed`."""
        counts: Any = inputs.get("counts")
        if counts is None:
            return
        self.token_count.add(counts["tokens"])
        for callback in self.callback_handler.callbacks:
            told: Any = getattr(callback, "packed", None)
            if told is not None:
                told(**counts)

    def log(self, logs: dict[str, float], *args: Any, **kwargs: Any) -> None:
        """Log as transformers does, with the tokens seen so far, which it would wait for."""
        if self.args.include_num_input_tokens_seen == "no":
            logs = {**logs, "num_input_tokens_seen": self.state.num_input_tokens_seen}
        super().log(logs, *args, **kwargs)
