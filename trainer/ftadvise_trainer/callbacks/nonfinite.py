"""NonFiniteGuard: a NaN or an infinity is seen at the step it happens, before it gets far."""

from __future__ import annotations

import hashlib
import itertools
import logging
import math
from typing import TYPE_CHECKING, Any, cast

import torch
from torch import distributed
from transformers import TrainerCallback

from ftadvise_trainer.errors import TrainError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping

logger = logging.getLogger(__name__)

MOST_ROWS_SEARCHED = 1_000_000
_HINT = (
    "Look at those examples first. If they are in order, lower the learning rate or max_grad_norm,"
    " or warm up longer."
)


class NonFiniteGuard(TrainerCallback):  # type: ignore[misc]  # transformers has no types
    """Stops a run at the first loss, gradient or weight that is not finite; for any Trainer.

    It looks before the optimizer does, so that the weights stay those of the step before. It
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
        self._seen.clear()

    def on_pre_optimizer_step(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Look at the losses and gradients of the step, once for all of them."""
        losses = [~torch.isfinite(loss).all() for loss, _ in self._seen]
        gradients = [p.grad for p in kwargs["model"].parameters() if p.grad is not None]
        signs = [*losses, *([] if args.fp16 else [_any_nonfinite(gradients)])]
        if not _agreed(signs, args.device):
            self._seen.clear()
            return
        own = self._offenders(losses, kwargs.get("train_dataloader"))
        found = _from_all_processes(own)
        what = "loss" if found else "gradient"
        raise self._error(what, state, control, state.global_step + 1, found)

    def on_step_end(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
        """Look at the weights before they are saved."""
        weights = kwargs["model"].parameters()
        if control.should_save and _agreed([_any_nonfinite(weights)], args.device):
            raise self._error("weight", state, control, state.global_step)

    on_epoch_end = on_step_end

    def on_log(
        self,
        args: Any,
        state: Any,
        control: Any,
        logs: Mapping[str, Any] | None = None,
        **kwargs: Any,
    ) -> None:
        """Look at the logged loss and gradient norm, where the gradients cannot be seen."""
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

    def _offenders(self, signs: list[torch.Tensor], dataloader: Any) -> list[dict[str, Any]]:
        """Describe the micro-batches of this process whose loss is not finite."""
        return [
            {"micro_batch": place, "of": len(signs), "loss": str(float(loss.mean()))}
            | _name(inputs, getattr(dataloader, "dataset", None))
            for place, (sign, (loss, inputs)) in enumerate(
                zip(signs, self._seen, strict=True), start=1
            )
            if bool(sign)
        ]

    def _error(
        self, what: str, state: Any, control: Any, step: int, found: Iterable[dict[str, Any]] = ()
    ) -> TrainError:
        self._seen.clear()
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
        places = "; ".join(_sentence(batch) for batch in found)
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
    if not signs:
        signs = [torch.tensor(False)]
    flag = torch.stack([sign.to(device) for sign in signs]).any().to(torch.int32)
    if _several():
        distributed.all_reduce(flag, op=distributed.ReduceOp.MAX)
    return bool(flag)


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


def _name(inputs: Mapping[str, Any], dataset: Any) -> dict[str, Any]:
    """Return what tells a batch from others: its rows in the dataset, and a hash of its tokens."""
    tokens = inputs.get("input_ids")
    if not isinstance(tokens, torch.Tensor):
        return {"rows": [], "sha256": ""}
    digest = hashlib.sha256(tokens.cpu().contiguous().numpy().tobytes()).hexdigest()
    return {"rows": _rows_with(_sequences(tokens, inputs), dataset), "sha256": digest[:16]}


def _sequences(tokens: torch.Tensor, inputs: Mapping[str, Any]) -> set[tuple[int, ...]]:
    """Return the examples of a batch, without their padding."""
    ends, mask = inputs.get("cu_seq_lens_q"), inputs.get("attention_mask")
    if isinstance(ends, torch.Tensor):  # packed: the examples lie end to end
        flat = cast("list[int]", tokens.flatten().tolist())
        bounds = cast("list[int]", ends.tolist())
        return {tuple(flat[start:end]) for start, end in itertools.pairwise(bounds)}
    table = cast("list[list[int]]", tokens.reshape(-1, tokens.shape[-1]).tolist())
    kept = [[1] * len(ids) for ids in table]
    if isinstance(mask, torch.Tensor) and mask.shape == tokens.shape:
        kept = cast("list[list[int]]", mask.reshape(-1, mask.shape[-1]).tolist())
    return {
        tuple(t for t, keep in zip(ids, flags, strict=True) if keep)
        for ids, flags in zip(table, kept, strict=True)
    }


def _rows_with(wanted: set[tuple[int, ...]], dataset: Any) -> list[int]:
    """Return where in `dataset` these token sequences stand; empty where it cannot be searched."""
    rows: list[int] = []
    try:
        for place in range(min(len(dataset), MOST_ROWS_SEARCHED)):
            if tuple(dataset[place]["input_ids"]) in wanted:
                rows.append(place)
    except (TypeError, KeyError, IndexError, NotImplementedError):
        return []
    return rows


def _sentence(batch: dict[str, Any]) -> str:
    rows = ", ".join(str(row) for row in batch["rows"][:20])
    where = f"training rows {rows}, " if rows else ""
    return (
        f"micro-batch {batch['micro_batch']} of {batch['of']} has loss {batch['loss']}: {where}"
        f"sha256 of its input_ids {batch['sha256']}"
    )
