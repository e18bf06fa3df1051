"""The balancing loss of a mixture of experts: once for an optimizer step, however it is cut.

transformers adds it to the loss of every forward pass in full, so that it weighs as many times as
much as there are micro-batches in a step, and processes besides. Here each forward pass adds its
share, by its tokens. The sum is what one forward pass over the whole step would add, where all are
alike; else it is the mean of their balances, and not the balance of the whole, since which experts
are busy is known pass by pass only.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, cast

import torch

if TYPE_CHECKING:
    from collections.abc import Sequence

_NAMES = ("router_aux_loss_coef", "aux_loss_coef")
IGNORED = -100


def coefficient(model: Any) -> float | None:
    """Return the weight of the balancing loss in the loss of a model; None where it adds none.

    Args:
        model: Of transformers or PEFT, or any other.
    """
    settings: Any = getattr(model, "config", None)
    get_text: Any = getattr(settings, "get_text_config", None)
    text = get_text() if get_text is not None else settings
    if not any(getattr(one, "output_router_logits", False) for one in (settings, text)):
        return None
    found = (getattr(one, name, None) for one in (text, settings) for name in _NAMES)
    return next((float(one) for one in found if one is not None), None)


def tokens_of(batch: dict[str, Any]) -> torch.Tensor:
    """Return the tokens of a batch that are not padding, a scalar on its device.

    An example in which nothing is trained fills up a step on one of several processes: its tokens
    do not count.
    """
    ids = cast("torch.Tensor", batch["input_ids"])
    mask = cast("torch.Tensor | None", batch.get("attention_mask"))
    there = torch.ones_like(ids) if mask is None or mask.shape != ids.shape else mask
    labels = cast("torch.Tensor | None", batch.get("labels"))
    if labels is not None:
        there = there * labels.ne(IGNORED).any(dim=-1, keepdim=True)
    return there.sum()


def tokens_of_step(batches: Sequence[dict[str, Any]], accelerator: Any, device: Any) -> Any:
    """Return the tokens of an optimizer step on all processes, each of which has to call this.

    Args:
        batches: Those of this process.
        accelerator: That of the trainer.
        device: Where they are trained.
    """
    own = sum((tokens_of(one).to(device) for one in batches), torch.zeros((), device=device))
    return accelerator.gather(own[None]).sum()


def with_share(
    loss: torch.Tensor, outputs: Any, weight: float, batch: dict[str, Any], whole: Any, times: int
) -> torch.Tensor:
    """Return the loss of a forward pass with its share of the balancing loss in place of all of it.

    Args:
        loss: As transformers gives it: `times` the sum of both.
        outputs: What the model returned.
        weight: As `coefficient` gives it.
        batch: What the model was given, its labels included.
        whole: Tokens of the optimizer step.
        times: What transformers has multiplied the loss by: the number of processes, whose
            gradients are averaged later.
    """
    balance: Any = outputs.get("aux_loss") if isinstance(outputs, dict) else None
    if not isinstance(balance, torch.Tensor):
        return loss
    share = tokens_of(batch) / whole.clamp(min=1)
    more = weight * times * (share.to(loss.device) - 1.0) * balance.to(loss.device)
    return torch.add(loss, more)
