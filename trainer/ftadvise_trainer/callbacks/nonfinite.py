"""NonFiniteGuard: a NaN or an infinity is seen at the step it happens, before it gets far."""

from __future__ import annotations

import logging
import math
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import distributed
from transformers import TrainerCallback

from ftadvise_trainer.callbacks.left_out import leaving_out
from ftadvise_trainer.callbacks.open_step import OpenStep, offenders, sentence
from ftadvise_trainer.errors import TrainError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

logger = logging.getLogger(__name__)

_HINT = (
    "Look at those examples first. If they are in order, lower the learning rate or max_grad_norm,"
    " or warm up longer."
)


class NonFiniteGuard(TrainerCallback):  # type: ignore[misc]  # transformers has no types
    """Stops a run at the first loss, gradient or weight that is not finite; for any Trainer.

    It looks before the optimizer does, so that the weights stay those of the step before. Nobody
    waits for the answer: see `left_out`. It
    raises instead of asking for a stop, because a Trainer that is asked to stop may evaluate,
    save and mark as best once more. transformers' own `logging_nan_inf_filter`, on by default,
    replaces such a loss in the log by earlier ones and trains on.

    In a `FineTuner` it sees the loss of every micro-batch and names the examples; in any other
    Trainer it sees the gradients, and what is logged. With fp16 an infinite gradient is nothing
    unusual (the loss scaler skips the step), so only losses and weights are looked at.

    Attributes:
        reason: What was found: `reason`, `epoch`, `step`, `policy`, and `rows` and `batch` where
            they are known; None before.
        before_raising: Called with the state before the error is raised, because a Trainer calls
            no callback after it; a `MetricsWriter` that has this guard among its stoppers puts
            itself here.
    """

    def __init__(self) -> None:
        """Have seen nothing yet."""
        self.reason: dict[str, Any] | None = None
        self.before_raising: list[Callable[[Any], None]] = []
        self._seen: list[tuple[torch.Tensor, Mapping[str, Any]]] = []
        self._open: OpenStep | None = None

    def saw(self, loss: torch.Tensor, inputs: Mapping[str, Any]) -> None:
        """Take note of the loss of a micro-batch; it stays on its device."""
        self._seen.append((loss.detach(), inputs))

    def on_train_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Say so when the log would hide what the guard looks for."""
        if args.logging_nan_inf_filter:
            logger.warning(
                "logging_nan_inf_filter hides losses that are not finite from the log; set it to "
                "False"
            )

    def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Forget the step before."""
        self._seen = []

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Look at the losses and gradients of the step, once for all of them.

        Where the optimizer can be told on the device to leave out a step, it goes ahead and the
        answer is read later, but before the next step changes the weights and before anything is
        logged, evaluated or saved.
        """
        self._settle(state, control)
        signs = [~torch.isfinite(loss).all() for loss, _ in self._seen]
        gradients = [p.grad for p in kwargs["model"].parameters() if p.grad is not None]
        every = [*signs, *([] if args.fp16 else [_any_nonfinite(gradients)])]
        flag = _flag(every, args.device)
        optimizer = None if args.fp16 else kwargs.get("optimizer")
        step, epoch = state.global_step + 1, state.epoch
        dataset = getattr(kwargs.get("train_dataloader"), "dataset", None)
        answer = leaving_out(optimizer, flag)
        self._open = OpenStep(answer, flag, signs, self._seen, step, epoch, dataset)
        if answer is None:
            self._settle(state, control)

    def _settle(self, state: Any, control: Any) -> None:
        """Read what is still open of the last step, and raise if it was not finite."""
        step, self._open = self._open, None
        if step is None or not (bool(step.flag) if step.answer is None else step.answer.read()):
            return
        state.global_step, state.epoch = step.step - 1, step.epoch  # it changed nothing
        found = _from_all_processes(offenders(step))
        what = "loss" if found else "gradient"
        raise self._error(what, state, control, step.step, found)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Look at the weights before they are saved."""
        if control.should_save or control.should_evaluate or control.should_log:
            self._settle(state, control)
        weights = kwargs["model"].parameters()
        if control.should_save and _agreed([_any_nonfinite(weights)], args.device):
            raise self._error("weight", state, control, state.global_step)

    on_epoch_end = on_step_end

    def on_train_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Read what is open of the last step."""
        self._settle(state, control)

    def on_log(
        self,
        args: Any,
        state: Any,
        control: Any,
        logs: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Look at the logged loss and gradient norm, where the gradients cannot be seen."""
        self._settle(state, control)
        for key, what in (("loss", "loss"), ("grad_norm", "gradient norm")):
            value = (logs or {}).get(key)
            if value is None or math.isfinite(value) or (key == "grad_norm" and args.fp16):
                continue
            raise self._error(what, state, control, state.global_step)

    def on_evaluate(
        self,
        args: Any,
        state: Any,
        control: Any,
        metrics: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Look at the eval loss before it can become the best."""
        for key, value in (metrics or {}).items():
            if key.endswith("_loss") and not math.isfinite(value):
                raise self._error(f"{key.replace('_', ' ')}", state, control, state.global_step)

    def _error(
        self, what: str, state: Any, control: Any, step: int, found: Iterable[dict[str, Any]] = ()
    ) -> TrainError:
        self._seen = []
        control.should_training_stop = True
        control.should_save = control.should_evaluate = False
        found = list(found)
        self.reason = {
            "reason": f"{what} not finite",
            "epoch": float(state.epoch or 0.0),
            "step": step,
            "policy": "non-finite guard",
        }
        if found:
            self.reason["rows"] = [row for batch in found for row in batch["rows"]]
            self.reason["batch"] = [batch["sha256"] for batch in found]
        for write in self.before_raising:
            write(state)
        places = "; ".join(sentence(batch) for batch in found)
        message = f"step {step}: {what} not finite" + (f" ({places})" if places else "")
        return TrainError(message, code="FT508", hint=_HINT)


def _any_nonfinite(tensors: Iterable[torch.Tensor]) -> torch.Tensor:
    """Return a boolean scalar on the device; one pass, and no wait for it."""
    # The largest absolute value instead of the usual norm, whose squares overflow. A sharded
    # tensor shows its local part: the processes agree afterwards.
    local: list[torch.Tensor] = [
        cast("Any", t).to_local() if hasattr(t, "to_local") else t.detach() for t in tensors
    ]
    local = [t for t in local if t.numel() and t.is_floating_point()]
    if not local:
        return torch.tensor(False)
    return ~torch.isfinite(torch.nn.utils.get_total_norm(local, norm_type=math.inf))


def _agreed(signs: list[torch.Tensor], device: Any) -> bool:
    """Return whether any sign is true on any process; all of them get the same answer."""
    return bool(_flag(signs, device))


def _flag(signs: list[torch.Tensor], device: Any) -> torch.Tensor:
    """Return `_agreed` as an int32 scalar on the device, which nobody waits for."""
    if not signs:
        signs = [torch.tensor(False)]
    flag = torch.stack([sign.to(device) for sign in signs]).any().to(torch.int32)
    if _several():
        distributed.all_reduce(flag, op=distributed.ReduceOp.MAX)
    return flag


def _several() -> bool:
    return (
        distributed.is_available()
        and distributed.is_initialized()
        and distributed.get_world_size() > 1
    )


def _from_all_processes(own: list[dict[str, Any]]) -> list[dict[str, Any]]:
    if not _several():
        return own
    every: list[Any] = [None] * distributed.get_world_size()
    distributed.all_gather_object(every, own)
    return [batch for part in every for batch in part]
