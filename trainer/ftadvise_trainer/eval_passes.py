"""The forward passes of an evaluation, made smaller where the device has no memory for them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, cast

import torch

from ftadvise_trainer.data.rows import forwards, is_packed, relaid, too_wide, trained_places
from ftadvise_trainer.errors import TrainError
from ftadvise_trainer.speed.row_size import smaller

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from ftadvise_trainer.data.packing import Layout

    Sums = tuple[torch.Tensor, torch.Tensor]

_HINT = "Set data.max_length lower, or use a GPU with more memory."


class EvalPasses:
    """How large a forward pass of an evaluation may be; what was learned holds for later ones.

    Attributes:
        rows: Examples of a padded pass at most; None while all of a batch have fitted.
        tokens: Tokens of a packed row at most; None while those of the layout have fitted.
    """

    def __init__(self, say: Callable[[str], object]) -> None:
        """Begin with passes as the loader gives them.

        Args:
            say: Told, once for each, when they are made smaller.
        """
        self.rows: int | None = None
        self.tokens: int | None = None
        self.say = say

    def sums(
        self,
        batch: dict[str, Any],
        forward: Callable[[dict[str, Any]], Sums],
        layout: Layout | None = None,
        *,
        alone: bool = True,
    ) -> Sums:
        """Return the sum of the NLL and the trained tokens of each row of a batch.

        They have the same shape however often the batch was cut, so that processes that have cut
        theirs differently still agree: a packed batch has one sum.

        Args:
            batch: Padded or packed.
            forward: Gives both for one forward pass.
            layout: That of the run.
            alone: Whether this process may go through a batch in more passes than the others.

        Raises:
            TrainError: FT501, not even one example fits, or the others wait within the pass.
        """
        while True:
            try:
                found = [forward(one) for one in self.passes(batch, layout)]
                break
            except torch.OutOfMemoryError as error:
                self._shrink(batch, alone, error)
            # Here, out of the handler's reach, what the failed pass held is free.
            torch.cuda.empty_cache()
        nll, tokens = (torch.cat(parts) for parts in zip(*found, strict=True))
        return (nll.sum()[None], tokens.sum()[None]) if is_packed(batch) else (nll, tokens)

    def passes(self, batch: dict[str, Any], layout: Layout | None) -> Iterator[dict[str, Any]]:
        """Yield the forward passes of a batch, none of them larger than has proved to fit."""
        if is_packed(batch):
            if self.tokens is not None and layout is not None:
                narrow = replace(layout, row_tokens=self.tokens)
                batch = relaid(batch, narrow) if too_wide(batch, narrow) else batch
            yield from forwards(batch)
            return
        for one in forwards(batch):
            yield from [one] if self.rows is None else _cut(one, self.rows)

    def _shrink(self, batch: dict[str, Any], alone: bool, error: torch.OutOfMemoryError) -> None:
        if not alone:
            raise TrainError(
                "out of memory in an evaluation, in which the processes wait for each other",
                hint="Set training.per_device_eval_batch_size lower, or training.row_tokens.",
            ) from error
        if is_packed(batch):
            self._narrow(cast("list[list[int]]", batch["documents"]), error)
            return
        most = max(int(one["input_ids"].shape[0]) for one in self.passes(batch, None))
        if most < 2:
            tokens = int(batch["input_ids"].shape[1])
            raise TrainError(
                f"out of memory in an evaluation, with one example of {tokens:,} tokens",
                hint=_HINT,
            ) from error
        self.rows = (most + 1) // 2
        self.say(
            f"out of memory in an evaluation, with {most} examples at a time: from here on "
            f"{self.rows}, to the same eval loss (training.per_device_eval_batch_size)"
        )

    def _narrow(self, documents: list[list[int]], error: torch.OutOfMemoryError) -> None:
        longest = max((length for row in documents for length in row), default=0)
        widest = max(map(sum, documents), default=0)
        widest = widest if self.tokens is None else min(widest, max(self.tokens, longest))
        tokens = smaller(widest, longest)
        if tokens is None:
            raise TrainError(
                f"out of memory in an evaluation, with a row of {widest:,} tokens (the longest "
                f"example in it has {longest:,})",
                hint=_HINT,
            ) from error
        self.tokens = tokens
        self.say(
            f"out of memory in an evaluation, with rows of {widest:,} tokens: from here on they "
            f"have at most {tokens:,}, to the same eval loss"
        )


def _cut(one: dict[str, Any], rows: int) -> Iterator[dict[str, Any]]:
    """Yield a padded pass in pieces of so many rows."""
    every = int(one["input_ids"].shape[0])
    for start in range(0, every, rows):
        piece: dict[str, Any] = {
            name: value[start : start + rows]
            if isinstance(value, torch.Tensor) and value.dim() > 0 and value.shape[0] == every
            else value
            for name, value in one.items()
        }
        if "places" in one:
            piece["places"] = trained_places(piece["labels"])
        yield piece
