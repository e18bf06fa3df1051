"""A learning rate that warms up, holds, and decays linearly to zero from when it is told to.

So that a run needs no number of epochs in advance (`lr_scheduler_type: auto`). It is a `LambdaLR`
whose rule is an object: torch saves the attributes of such a rule with the scheduler, and puts
them back, so that a resumed run knows when its decay began.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from torch.optim.lr_scheduler import LambdaLR

from ftadvise.annealing import DECAY_EPOCHS

if TYPE_CHECKING:
    from torch.optim import Optimizer


@dataclass
class HoldThenDecay:
    """The rate over its peak at an optimizer step; all numbers are optimizer steps.

    Attributes:
        warmup: Steps of linear warm-up from zero.
        total: The step at which the decay has to have ended.
        decay: Steps of the decay.
        start: The step at which the decay began; None while the rate is held.
        why: Why it began there.
    """

    warmup: int
    total: int
    decay: int
    start: int | None = None
    why: str = ""

    def __post_init__(self) -> None:
        """Fit warm-up and decay into the run."""
        self.warmup = max(0, min(self.warmup, self.total - 1))
        self.decay = max(1, min(self.decay, self.total - self.warmup))

    @property
    def latest_start(self) -> int:
        """The step at which the decay begins if nobody asks for it before."""
        return self.total - self.decay

    @property
    def end(self) -> int:
        """The step at which the rate is zero, as far as is known."""
        return (self.latest_start if self.start is None else self.start) + self.decay

    def begin(self, step: int, why: str) -> None:
        """Begin the decay at `step`, or as soon after it as the warm-up is over."""
        if self.start is None:
            self.start = min(max(step, self.warmup), self.latest_start)
            self.why = why

    def __call__(self, step: int) -> float:
        """Return the factor at `step`, 0 to 1."""
        if step < self.warmup:
            return step / self.warmup
        return min(1.0, max(0.0, (self.end - step) / self.decay))


def hold_then_decay(
    optimizer: Optimizer, total_steps: int, *, decay_steps: int, warmup_steps: int = 0
) -> LambdaLR:
    """Return the scheduler, for `Trainer(optimizers=(optimizer, scheduler))`.

    Args:
        optimizer: Its rates are the peak.
        total_steps: Optimizer steps of the longest run that is wanted.
        decay_steps: Optimizer steps of the decay; about two epochs are a good choice.
        warmup_steps: Optimizer steps of the warm-up.
    """
    return LambdaLR(optimizer, HoldThenDecay(warmup_steps, total_steps, decay_steps))


def decay_steps(args: Any, total_steps: int, dataset: Any, batch_size: int | None = None) -> int:
    """Return the steps of the decay that `args.lr_scheduler_kwargs` asks for in epochs.

    Args:
        args: The `TrainingArguments`.
        total_steps: Optimizer steps of the longest run.
        dataset: What is trained on; its size is asked for only where `args.max_steps` and not the
            number of epochs gives the length of the run.
        batch_size: Examples in an optimizer step over all processes; None where `args` say it.
    """
    epochs = float((args.lr_scheduler_kwargs or {}).get("decay_epochs", DECAY_EPOCHS))
    per_epoch = total_steps / float(args.num_train_epochs)
    if args.max_steps > 0:
        each = args.train_batch_size * args.world_size * args.gradient_accumulation_steps
        per_epoch = len(dataset) / (batch_size or each)
    return max(1, round(epochs * per_epoch))


def rule_of(scheduler: Any) -> HoldThenDecay | None:
    """Return the rule of a scheduler made here, also inside accelerate's wrapper; else None."""
    scheduler = getattr(scheduler, "scheduler", scheduler)
    rules = getattr(scheduler, "lr_lambdas", ())
    return next((rule for rule in rules if isinstance(rule, HoldThenDecay)), None)
