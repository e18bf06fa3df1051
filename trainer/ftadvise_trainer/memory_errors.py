"""What to say when the optimizer has no memory for its step: nothing can be made smaller there."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from transformers import TrainerCallback

from ftadvise.text import clean
from ftadvise_trainer.errors import TrainError
from ftadvise_trainer.saving.checkpoints import listed

if TYPE_CHECKING:
    from collections.abc import Generator

_LESS = (
    "It takes less with training.sharding: fsdp on several GPUs, with lora, or with model.dtype: "
    "bfloat16; a smaller training.row_tokens or per_device_train_batch_size leaves it more."
)


class OptimizerStep(TrainerCallback):  # type: ignore[misc]  # transformers has no types
    """Knows whether the optimizer is in the middle of a step.

    Attributes:
        step: Which one it is in, counted from 1; None outside of them.
    """

    def __init__(self) -> None:
        """Begin outside."""
        self.step: int | None = None

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Note that one begins."""
        self.step = int(state.global_step) + 1

    def on_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Note that it is over."""
        self.step = None


@contextlib.contextmanager
def explained(within: OptimizerStep, output_dir: str | None) -> Generator[None]:
    """Turn an optimizer that runs out of memory into an error that says what to do.

    The checkpoints are left as they are. A step half made changes none of them.

    Args:
        within: Among the callbacks of the trainer.
        output_dir: Where its checkpoints are.

    Raises:
        TrainError: FT501, naming the step and the checkpoint that a resume would take.
    """
    try:
        yield
    except torch.OutOfMemoryError as error:
        if within.step is None:
            raise
        raise TrainError(
            f"out of memory in the optimizer, at step {within.step}: weights, gradients and its "
            "own state do not fit together",
            hint=f"{_LESS} {_kept(output_dir)}",
        ) from error


def _kept(output_dir: str | None) -> str:
    found = listed(Path(output_dir)) if output_dir else []
    if not found:
        return "No checkpoint had been saved."
    return f"{clean(found[-1][0].name)} is as it was: started again, the run goes on from it."
