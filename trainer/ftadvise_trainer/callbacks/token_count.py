"""TokenCount: how many tokens were trained on, without asking a device for it at every step."""

from __future__ import annotations

from typing import Any

import torch
from transformers import TrainerCallback


class TokenCount(TrainerCallback):  # type: ignore[misc]  # transformers has no types
    """Brings the tokens of all processes into `state.num_input_tokens_seen` where it is needed.

    That is before a log or a save. transformers itself, with `include_num_input_tokens_seen`, waits
    for the device and for all processes after every batch; then it counts alone. To stand last among the callbacks.
    """

    def __init__(self, accelerator: Any) -> None:
        """Have counted nothing yet."""
        self.accelerator = accelerator
        self.own = 0

    def add(self, tokens: int) -> None:
        """Count tokens of this process."""
        self.own += tokens

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Bring the count up to date when it is about to be logged or saved."""
        if control.should_log or control.should_save or control.should_evaluate:
            self._sum(args, state)

    def on_epoch_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Bring the count up to date."""
        self._sum(args, state)

    def _sum(self, args: Any, state: Any) -> None:
        own, self.own = self.own, 0
        if args.include_num_input_tokens_seen != "no":
            return
        if self.accelerator.num_processes > 1:
            each = torch.tensor([own], device=self.accelerator.device)
            own = int(self.accelerator.gather(each).sum())
        state.num_input_tokens_seen += own
