"""An output layer that gives the loss instead of the logits, while it is told the labels.

It takes the place of the model's output layer and holds the same parameters, so that everything
that is saved, tied, sharded or adapted stays as it is. Nothing else of the model changes:

    with head.told(labels) as told:
        outputs = model(input_ids, ...)  # no labels
    loss = told.sum(outputs) / trained_tokens
"""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch.nn import functional

from ftadvise_trainer.speed.linear_loss import Recipe, linear_nll

if TYPE_CHECKING:
    from collections.abc import Generator

IGNORED = -100
_NOT_RUN = "the model has not gone through the head that was told the labels"


@dataclass
class Told:
    """What the head is told before a forward pass, and what it has found after it.

    Attributes:
        places: Shape (n,), the flat places whose next token is trained.
        targets: Shape (n,), those tokens.
        rows: Rows of the batch.
        length: Tokens of a row.
        nll: Sum of the NLL, with its graph; None before the forward pass.
        each: Shape (n,), the NLL of each place.
    """

    places: torch.Tensor
    targets: torch.Tensor
    rows: int
    length: int
    nll: torch.Tensor | None = None
    each: torch.Tensor | None = None

    @property
    def tokens(self) -> int:
        """Trained tokens."""
        return len(self.places)

    def sum(self, outputs: Any) -> torch.Tensor:
        """Return the sum of the NLL over the trained tokens, a scalar.

        Args:
            outputs: What the model returned. Where its logits would be stands a zero, which is
                added: DDP and FSDP look for the end of the graph in what a model returns.
        """
        if self.nll is None:
            raise RuntimeError(_NOT_RUN)
        logits: torch.Tensor = outputs["logits"] if isinstance(outputs, dict) else outputs[0]
        return self.nll + logits.sum()

    def nll_by_row(self) -> torch.Tensor:
        """Return the sum of the NLL of each row: shape (rows,), float64 where the device has it."""
        if self.each is None:
            raise RuntimeError(_NOT_RUN)
        return self._by_row(self.each)

    def tokens_by_row(self) -> torch.Tensor:
        """Return the number of trained tokens of each row, as `nll_by_row`."""
        return self._by_row(torch.ones_like(self.places))

    def _by_row(self, values: torch.Tensor) -> torch.Tensor:
        wide = torch.float32 if values.device.type == "mps" else torch.float64
        sums = torch.zeros(self.rows, dtype=wide, device=values.device)
        return sums.index_add_(0, self.places // self.length, values.to(wide))


class FusedHead(torch.nn.Linear):
    """A linear output layer that can be told the labels."""

    def __init__(self, linear: torch.nn.Linear, recipe: Recipe | None = None) -> None:
        """Take the parameters of `linear`, the very same ones.

        Args:
            linear: The output layer.
            recipe: What the model does with its logits, and how the loss is computed.
        """
        # On `meta` no memory is taken for the parameters that are thrown away in the next lines.
        super().__init__(linear.in_features, linear.out_features, device="meta")
        self.weight = linear.weight
        self.bias = linear.bias  # or None
        self.train(linear.training)
        self.recipe = recipe or Recipe()
        self.labels: Told | None = None

    def plain(self) -> torch.nn.Linear:
        """Return a plain layer with the same parameters."""
        linear = torch.nn.Linear(self.in_features, self.out_features, device="meta")
        linear.weight, linear.bias = self.weight, self.bias
        return linear.train(self.training)

    @contextlib.contextmanager
    def told(
        self,
        labels: torch.Tensor,
        shift_labels: torch.Tensor | None = None,
        places: torch.Tensor | None = None,
    ) -> Generator[Told]:
        """Let the next forward pass give the loss instead of the logits.

        Args:
            labels: Shape (rows, tokens), -100 where not trained.
            shift_labels: The label of the next token at each place, instead of `labels`.
            places: As `trained_places` gives them, on the device of the labels. Left out they are
                looked for, and the host waits for the device.

        Yields:
            What has been found, when the forward pass is done.
        """
        following = shift_labels if shift_labels is not None else shifted(labels)
        if places is None:
            places = trained_places(labels, shift_labels)
        flat = following.reshape(-1)
        rows, length = following.shape
        told = Told(places, flat.index_select(0, places), rows, length)
        self.labels = told
        try:
            yield told
        finally:
            self.labels = None

    def forward(self, input: torch.Tensor) -> torch.Tensor:
        """Return the logits, or, when told the labels, a zero in their place."""
        told = self.labels
        if told is None:
            return functional.linear(input, self.weight, self.bias)
        if input.shape[:2] != (told.rows, told.length):
            raise RuntimeError(
                f"hidden states of {tuple(input.shape[:2])} tokens came to a head that was told "
                f"labels of {(told.rows, told.length)}"
            )
        hidden = input.flatten(0, 1)
        kind = hidden.device.type
        if torch.is_autocast_enabled(kind):
            hidden = hidden.to(torch.get_autocast_dtype(kind))
        with torch.autocast(kind, enabled=False):
            told.nll, told.each, end = linear_nll(
                hidden, self.weight, self.bias, told.targets, told.places, self.recipe
            )
        return end


def shifted(labels: torch.Tensor) -> torch.Tensor:
    """Return the label of the next token at each place, -100 at the end of a row."""
    return functional.pad(labels[:, 1:], (0, 1), value=IGNORED)


def trained_places(labels: torch.Tensor, shift_labels: torch.Tensor | None = None) -> torch.Tensor:
    """Return the flat places whose next token is trained.

    Args:
        labels: Shape (rows, tokens), -100 where not trained.
        shift_labels: The label of the next token at each place, instead of `labels`.

    Returns:
        Shape (n,) int64. On a GPU the host has to wait for it; on the CPU it costs nothing.
    """
    following = shift_labels if shift_labels is not None else shifted(labels)
    return following.reshape(-1).ne(IGNORED).nonzero()[:, 0]


def fuse(model: Any, recipe: Recipe | None = None) -> FusedHead | None:
    """Put a `FusedHead` in the place of the model's output layer, if that is a plain linear one."""
    linear = model.get_output_embeddings()
    if type(linear) is not torch.nn.Linear:
        return None
    head = FusedHead(linear, recipe)
    model.set_output_embeddings(head)
    return head if model.get_output_embeddings() is head else None


def unfuse(model: Any) -> None:
    """Put a plain output layer back."""
    find: Any = getattr(model, "get_output_embeddings", None)
    head = find() if find is not None else None
    if isinstance(head, FusedHead):
        model.set_output_embeddings(head.plain())
