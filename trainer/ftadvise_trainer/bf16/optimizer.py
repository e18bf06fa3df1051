"""AdamW for bfloat16 weights that have no float32 copy, without losing small updates.

The spacing of bfloat16 is 1/256 to 1/128 of a number, so that rounding to the nearest drops every
update below 1/512 of a weight: at the learning rates of a fine-tune, most of them. Two ways
to keep them:

* `stochastic`: a weight is rounded up or down at random, in proportion, so that updates are right
  in the mean. 8 bytes a parameter: weight, gradient and both moments in bfloat16.
* `kahan`: what rounding left over is kept in a bfloat16 of its own and added at the next step
  (Kahan 1965; for training: Zamirai et al. 2020, "Revisiting BFloat16 Training"). 10 bytes.

Each step is computed in float32. Moments have the type of their weight. The second moment is always
rounded at random: with beta2 = 0.999 it changes by 0.1 % a step, which the nearest bfloat16 does
not show, so that it would only ever rise (`benchmarks/bf16_updates.py` measures it). The first one
changes by 10 % a step and is rounded to the nearest. Parameters in float32 among the others (an
adapter, weights that FSDP has turned into float32) are updated as by `torch.optim.AdamW`.

On a GPU the step is compiled into one kernel that reads and writes everything once.
"""

from __future__ import annotations

import math
import warnings
from collections import defaultdict
from dataclasses import dataclass
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any, cast

import torch

from ftadvise_trainer.bf16.adamw_step import Tensors, adamw, compiled_adamw
from ftadvise_trainer.bf16.rounding import key, signed
from ftadvise_trainer.bf16.shards import first_element, local, replica
from ftadvise_trainer.bf16.weight_types import ADAMW

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence

    from transformers import TrainingArguments

    from ftadvise_trainer.config import Config

UPDATES = ("stochastic", "kahan")
_TOGETHER = 4
"""Tensors of one size in one compiled call: a call costs 0.1 ms of Python, whatever it updates."""


def optimizer_for(
    config: Config, model: Any, arguments: TrainingArguments
) -> tuple[type[torch.optim.Optimizer], dict[str, Any]] | None:
    """Return what `transformers.Trainer` takes as `optimizer_cls_and_kwargs`.

    None leaves the choice to transformers: nothing that is trained is bfloat16, rounding to the
    nearest is wanted, or `optim` names something other than AdamW.

    Args:
        config: The run's settings.
        model: The model, with its adapter if it has one.
        arguments: Those for the trainer: learning rate, betas, epsilon. The trainer itself makes
            the groups of parameters with and without weight decay.
    """
    trained = any(p.dtype == torch.bfloat16 and p.requires_grad for p in model.parameters())
    updates = config.training.bf16_updates
    optim = str(getattr(arguments.optim, "value", arguments.optim))
    if not trained or updates not in UPDATES or optim not in ADAMW:
        return None
    return Bf16AdamW, {
        "lr": arguments.learning_rate,
        "betas": (arguments.adam_beta1, arguments.adam_beta2),
        "eps": arguments.adam_epsilon,
        "updates": updates,
        "seed": config.training.seed,
    }


@dataclass(slots=True)
class _Update:
    """One parameter's step: flat tensors that share their memory with it and with its state."""

    weight: torch.Tensor
    grad: torch.Tensor
    first: torch.Tensor
    second: torch.Tensor
    left: torch.Tensor | None
    numbers: tuple[float, ...]
    places: tuple[int, ...]

    @property
    def kind(self) -> tuple[Any, ...]:
        """What updates of one compiled call have in common."""
        tensors = (self.weight, self.grad)
        return (*((t.device, t.dtype) for t in tensors), self.weight.numel(), self.left is None)


class Bf16AdamW(torch.optim.Optimizer):
    """AdamW (Loshchilov and Hutter 2019) whose weights may be bfloat16.

    Two runs with the same seed are equal to the bit, and so is one that was resumed, whether on one
    process or on several, with the model as a whole on each or spread by FSDP2.
    """

    def __init__(
        self,
        params: Any,
        lr: float = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0.0,
        *,
        updates: str = "stochastic",
        seed: int = 0,
        compiled: bool | None = None,
    ) -> None:
        """Take what `torch.optim.AdamW` takes.

        Args:
            params: Parameters, or groups of them.
            lr: Learning rate.
            betas: Of the two moments.
            eps: Added to the root of the second moment.
            weight_decay: Times the learning rate, taken off each weight.
            updates: `stochastic` or `kahan`.
            seed: Of the roundings.
            compiled: Whether to compile the step; None compiles it on a GPU.

        Raises:
            ValueError: An argument is out of its range.
        """
        if updates not in UPDATES:
            raise ValueError(f"updates: {updates!r} is not one of {', '.join(UPDATES)}")
        if not all(0 <= beta < 1 for beta in betas) or min(lr, eps, weight_decay) < 0:
            raise ValueError("lr, eps and weight_decay are at least 0, betas from 0 to below 1")
        self.compiled = compiled
        defaults = {
            "lr": lr,
            "betas": tuple(betas),
            "eps": eps,
            "weight_decay": weight_decay,
            "updates": updates,
            "seed": seed,
        }
        super().__init__(params, defaults)

    def load_state_dict(self, state_dict: dict[str, Any]) -> None:
        """Take over a state; the counts of steps come to the CPU, where reading them is free."""
        super().load_state_dict(state_dict)
        for state in self.state.values():
            state["step"] = torch.tensor(float(state["step"]))  # a copy: it is counted up in place

    @torch.no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update every parameter that has a gradient.

        Raises:
            RuntimeError: A gradient is sparse.
        """
        loss = None
        if closure is not None:
            with torch.enable_grad():
                loss = closure()
        alike: defaultdict[tuple[Any, ...], list[_Update]] = defaultdict(list)
        for update in self._updates():
            alike[update.kind].append(update)
        for updates in alike.values():
            self._run(updates)
        return loss

    def _updates(self) -> Iterator[_Update]:
        place = -1
        for group in self.param_groups:
            for parameter in group["params"]:
                place += 1  # counted also where there is no gradient: it names the parameter
                if parameter.grad is None:
                    continue
                if parameter.grad.is_sparse:
                    raise RuntimeError("AdamW takes no sparse gradients")
                state = self._state_of(parameter, group["updates"])
                state["step"] += 1
                if local(parameter).numel():
                    yield _update_of(parameter, state, group, place)

    def _state_of(self, parameter: torch.Tensor, updates: str) -> dict[str, torch.Tensor]:
        state = cast("dict[str, torch.Tensor]", self.state[parameter])
        if not state:
            state["step"] = torch.zeros((), dtype=torch.float32)
            state["exp_avg"] = torch.zeros_like(parameter)
            state["exp_avg_sq"] = torch.zeros_like(parameter)
            if updates == "kahan" and parameter.dtype == torch.bfloat16:
                state["compensation"] = torch.zeros_like(parameter)
        return state

    def _run(self, updates: Sequence[_Update]) -> None:
        device = updates[0].weight.device
        # Both tables reach the device in one copy each, which nobody waits for.
        numbers = torch.tensor([u.numbers for u in updates]).to(device, non_blocking=True)
        places = torch.tensor([u.places for u in updates], dtype=torch.int32)
        places = places.to(device, non_blocking=True)
        for part in _parts(len(updates)):
            tensors = _columns(updates[part])
            if not self._compiles(device):
                adamw(*tensors, numbers[part], places[part])
                continue
            try:
                compiled_adamw()(*tensors, numbers[part], places[part])
            except Exception as error:  # noqa: BLE001 - a compiler may raise anything, before it runs
                self.compiled = False
                reason = " ".join(str(error).split())[:200]
                warnings.warn(f"AdamW runs uncompiled: {reason}", RuntimeWarning, stacklevel=2)
                adamw(*tensors, numbers[part], places[part])

    def _compiles(self, device: torch.device) -> bool:
        if self.compiled is None:
            self.compiled = device.type == "cuda" and find_spec("triton") is not None
        return self.compiled


def _update_of(
    parameter: torch.Tensor, state: dict[str, torch.Tensor], group: dict[str, Any], place: int
) -> _Update:
    step = int(state["step"].item())
    beta1, beta2 = group["betas"]
    lr = float(group["lr"])
    left = state.get("compensation")
    # As tensors these numbers can change without anything being compiled anew.
    numbers = (
        1 - lr * group["weight_decay"],
        lr / (1 - beta1**step),
        1 / math.sqrt(1 - beta2**step),
        1 - beta1,
        beta2,
        1 - beta2,
        group["eps"],
        0.0,
    )
    drawn = key(group["seed"], step, signed(place ^ replica(parameter)))
    return _Update(
        local(parameter).view(-1),
        local(cast("torch.Tensor", parameter.grad)).reshape(-1),
        local(state["exp_avg"]).view(-1),
        local(state["exp_avg_sq"]).view(-1),
        None if left is None else local(left).view(-1),
        numbers,
        (drawn, signed(first_element(parameter)), 0, 0),
    )


def _parts(count: int) -> Iterator[slice]:
    """Yield slices of `_TOGETHER`, and of one for the rest: two shapes of call to compile."""
    whole = count - count % _TOGETHER
    yield from (slice(i, i + _TOGETHER) for i in range(0, whole, _TOGETHER))
    yield from (slice(i, i + 1) for i in range(whole, count))


def _columns(
    updates: Iterable[_Update],
) -> tuple[Tensors, Tensors, Tensors, Tensors, Tensors]:
    rows = list(updates)
    return (
        [u.weight for u in rows],
        [u.grad for u in rows],
        [u.first for u in rows],
        [u.second for u in rows],
        [u.left for u in rows if u.left is not None],
    )
