"""Holds examples out for evaluation, and keeps what is held out away from training."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ftadvise_trainer.errors import TrainError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from ftadvise_trainer.data.records import Example


def by_hash(examples: Sequence[Example], share: float) -> tuple[list[Example], list[Example]]:
    """Return the examples to train on and those to evaluate on.

    The content alone decides: an example stays on its side when others are added, and two equal
    ones stand on the same side.

    Raises:
        TrainError: FT502, one side would be empty.
    """
    if not 0 < share < 1:
        raise TrainError(
            f"data.eval_share: {share} is not between 0 and 1",
            code="FT502",
            hint="It is the share of the examples that is held out, such as 0.05.",
        )
    train = [example for example in examples if place(example) >= share]
    held_out = [example for example in examples if place(example) < share]
    if not train or not held_out:
        places = sorted({place(example) for example in examples})
        if len(places) < 2:
            hint = "Give more than one example, or a file of its own with data.eval."
        elif not held_out:
            hint = (
                f"Raise data.eval_share to {places[0] + 0.005:.2f}, or name a file in data.eval."
            )
        else:
            hint = (
                f"Lower data.eval_share to {places[-1] - 0.005:.2f}, or name a file in data.eval."
            )
        side = "evaluate" if train else "train"
        raise TrainError(
            f"data.eval_share: {share} of {len(examples)} examples leaves none to {side} on",
            code="FT502",
            hint=hint,
        )
    return train, held_out


def place(example: Example) -> float:
    """Return a number from 0 to 1 that the content of an example alone decides."""
    return int(example.digest[:13], 16) / 16**13


def without_overlap(
    train: Sequence[Example], held_out: Sequence[Example]
) -> tuple[list[Example], int]:
    """Return the train examples that are not held out as well, and how many are."""
    known = {example.digest for example in held_out}
    kept = [example for example in train if example.digest not in known]
    return kept, len(train) - len(kept)
