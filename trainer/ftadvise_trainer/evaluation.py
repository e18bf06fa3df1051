"""The parts of an evaluation: the NLL of each row, their sums, and a loader that can end early."""

from __future__ import annotations

import contextlib
import random
from collections import deque
from typing import TYPE_CHECKING, Any, cast

import numpy as np
import torch
from torch.nn import functional

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator

IGNORED = -100
"""Label of a token that is not trained."""

_PIECE = 4096
"""Tokens whose logits are copied to float32 at a time."""

INTERRUPTED = "interrupted"
"""Metric, after the prefix, of an evaluation that was broken off."""


class EvalSums:
    """Sums over an evaluation, the same on every process, and whether it is to be broken off."""

    def __init__(self, accelerator: Any, interrupted: Callable[[], bool] | None) -> None:
        """Begin at zero."""
        self.accelerator = accelerator
        self.interrupted = interrupted
        self.broken_off = False
        # With even batches every process sees as many batches, and what pads the last of them can
        # be told. Without them, processes meet at the end only.
        self.in_step = accelerator.num_processes > 1 and accelerator.even_batches
        self.sums: torch.Tensor | None = None
        # An answer is read one batch late, when it has long arrived: no wait for the device.
        self.answers: deque[torch.Tensor] = deque(maxlen=2)

    def add(self, nll: torch.Tensor, tokens: torch.Tensor, *, padded: bool = True) -> None:
        """Add one batch.

        Args:
            nll: Sum of the NLL of each of its rows.
            tokens: Number of trained tokens of each of its rows.
            padded: Whether the loader fills up the last batches with rows that it had before.
        """
        stop = self.in_step and self.interrupted is not None and self.interrupted()
        rows = torch.stack([nll, tokens, torch.full_like(nll, float(stop))], dim=1)
        if self.in_step:
            # gather_for_metrics drops the rows that pad the end.
            every = self.accelerator.gather_for_metrics if padded else self.accelerator.gather
            rows = every(rows)
        summed = rows.sum(dim=0)
        self.answers.append(summed[2])
        self.sums = summed[:2] if self.sums is None else self.sums + summed[:2]

    def stop(self) -> bool:
        """Whether to break off now; with several processes, as agreed two batches ago."""
        if self.in_step:
            self.broken_off = len(self.answers) == 2 and bool(self.answers[0] > 0)
        elif self.interrupted is not None:
            self.broken_off = self.interrupted()
        return self.broken_off

    def total(self) -> tuple[float, int | None]:
        """Return the sum of the NLL and the number of tokens; None where there were no labels."""
        sums = self.sums
        if self.accelerator.num_processes > 1 and not self.in_step:
            own = torch.zeros(2) if sums is None else sums
            own = torch.cat([own, own.new_tensor([float(self.broken_off), float(sums is None)])])
            every = self.accelerator.gather(own.to(self.accelerator.device)[None])
            self.broken_off = bool(every[:, 2].any())
            sums = None if bool(every[:, 3].all()) else every[:, :2].sum(dim=0)
        if sums is None:
            return 0.0, None
        nll, tokens = (float(x) for x in sums.tolist())
        return nll, int(tokens)


class Interruptible:
    """A data loader that ends early when its evaluation is to be broken off."""

    def __init__(self, dataloader: Any, sums: EvalSums) -> None:
        """Wrap `dataloader`."""
        self.dataloader = dataloader
        self.eval_sums = sums

    def __getattr__(self, name: str) -> Any:
        """Look like the data loader."""
        return getattr(self.dataloader, name)

    def __len__(self) -> int:
        """Batches in the data loader."""
        return len(self.dataloader)

    def __iter__(self) -> Iterator[Any]:
        """Yield the batches until the end, or until it is time to stop."""
        for batch in self.dataloader:
            if self.eval_sums.stop():
                # What accelerate does at the end of a loader that is read to its end.
                end = getattr(self.dataloader, "end", None)
                if end is not None:
                    end()
                return
            yield batch


@contextlib.contextmanager
def random_numbers_kept(device: torch.device) -> Generator[None]:
    """Put the generators of Python, numpy, torch and `device` back to where they were.

    An evaluation draws: each pass over a data loader takes a seed from torch's generator, and a
    metric or a callback may take more. Dropout draws from the same generators, and a run that is
    preempted at an evaluation makes it after the resume only: without this, its weights would
    differ from those of a run that was not.
    """
    python, numpy = random.getstate(), np.random.get_state()
    # Elsewhere (Apple's mps) torch cannot ask one device for its generator.
    devices = [device] if device.type in ("cuda", "xpu") else []
    kind = device.type if devices else "cuda"
    of_torch = torch.random.fork_rng(devices=devices, device_type=kind)
    try:
        with of_torch:
            yield
    finally:
        random.setstate(python)
        np.random.set_state(numpy)


def follows_eval_loss(scheduler: Any) -> bool:
    """Return whether a learning rate waits for evaluations: ReduceLROnPlateau, GreedyLR.

    transformers steps it with each evaluation, but not with one that is made up for on a resume.
    """
    return hasattr(scheduler, "num_bad_epochs")


def logits_of(outputs: Any) -> torch.Tensor:
    """Return the logits from what a model returned when it was given no labels."""
    if isinstance(outputs, torch.Tensor):
        return outputs
    return cast("torch.Tensor", outputs["logits"] if isinstance(outputs, dict) else outputs[0])


def nll_by_row(
    logits: torch.Tensor, labels: torch.Tensor, shift_labels: torch.Tensor | None = None
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the sum of the token NLL and the number of trained tokens of each row.

    Args:
        logits: Shape (rows, tokens, vocabulary), of any float type.
        labels: Shape (rows, tokens), -100 where not trained.
        shift_labels: The label of the next token at each place, where the collator gives it.

    Returns:
        Two tensors of shape (rows,), float64 (float32 on Apple's GPUs, which have no other).
    """
    if shift_labels is None:
        logits, shift_labels = logits[:, :-1], labels[:, 1:]
    shift_labels = shift_labels.to(logits.device)
    wide = torch.float32 if logits.device.type == "mps" else torch.float64
    sums = [_nll(row, wanted, wide) for row, wanted in zip(logits, shift_labels, strict=True)]
    return torch.stack(sums), shift_labels.ne(IGNORED).sum(dim=1).to(wide)


def _nll(logits: torch.Tensor, wanted: torch.Tensor, wide: torch.dtype) -> torch.Tensor:
    # Piece by piece, because the float32 copy of all logits is what eval runs out of memory for.
    pieces = zip(torch.split(logits, _PIECE), torch.split(wanted, _PIECE), strict=True)
    return torch.stack(
        [
            functional.cross_entropy(some.float(), theirs, ignore_index=IGNORED, reduction="none")
            .to(wide)
            .sum()
            for some, theirs in pieces
        ]
    ).sum()


def needs_eval(log_history: list[dict[str, Any]]) -> bool:
    """Return whether the newest evaluation was broken off, so that a resume has to redo it.

    `TrainingArguments(eval_on_start=True)` redoes it before the first step.
    """
    for row in reversed(log_history):
        if any(key.endswith("_runtime") and not key.startswith("train") for key in row):
            return any(key.endswith(f"_{INTERRUPTED}") for key in row)
    return False
