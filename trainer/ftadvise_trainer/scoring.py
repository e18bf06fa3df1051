"""The final model, loaded again: what eval loss does it give, and how an adapter is merged."""

from __future__ import annotations

import copy
import gc
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import torch
from torch import distributed
from transformers import AutoModelForCausalLM, PrinterCallback

from ftadvise_trainer.data.collate import Collator
from ftadvise_trainer.finetuner import FineTuner
from ftadvise_trainer.remote_code import allowed
from ftadvise_trainer.speed.setting_up import same_way

if TYPE_CHECKING:
    from collections.abc import Callable, Generator
    from pathlib import Path

    from ftadvise_trainer.config import Config
    from ftadvise_trainer.data.prepare import Prepared

ADAPTER = "adapter_config.json"


def eval_loss_of(
    folder: Path,
    config: Config,
    trainer: FineTuner,
    tokenizer: Any,
    prepared: Prepared,
    remote_code: str | None = None,
) -> float:
    """Load the model in `folder` and return its eval loss on the run's eval data.

    The trained model leaves the accelerator first, so that one of them has room at a time.
    """
    with scorer_of(folder, config, trainer, tokenizer, prepared, remote_code) as scorer:
        return float(scorer.evaluate()["eval_loss"])


@contextmanager
def scorer_of(
    folder: Path,
    config: Config,
    trainer: FineTuner,
    tokenizer: Any,
    prepared: Prepared,
    remote_code: str | None = None,
) -> Generator[FineTuner]:
    """Give a trainer that evaluates the model in `folder`; meanwhile the trained one makes room."""
    trained: Any = trainer.model
    device = trained.device
    trained.to("cpu")
    try:
        args = copy.copy(trainer.args)
        args.report_to = []
        model = load(folder, config, remote_code)
        # As it was evaluated in the run: with other rows bf16 would round otherwise.
        head = same_way(config, model, args.device, trainer.layout)
        scorer = FineTuner(
            model=model,
            layout=trainer.layout,
            head=head if trainer.head is not None else None,
            args=args,
            eval_dataset=prepared.eval,
            data_collator=Collator(tokenizer.pad_token_id),
            processing_class=tokenizer,
        )
        scorer.remove_callback(PrinterCallback)
        yield scorer
    finally:
        gc.collect()
        trained.to(device)


def set_weights(model: Any, weights: dict[str, torch.Tensor]) -> bool:
    """Give a model the weights of a checkpoint of its own kind; False where names do not fit.

    Args:
        model: As `load` gives it.
        weights: As they stand in a checkpoint: tied ones once, an adapter without the rest.
    """
    if hasattr(model, "peft_config"):
        from peft import set_peft_model_state_dict

        set_peft_model_state_dict(model, weights)
        return True
    own: dict[str, torch.Tensor] = model.state_dict()
    if not weights.keys() <= own.keys():
        return False
    given = {own[name].data_ptr() for name in weights}
    if any(own[name].data_ptr() not in given for name in own.keys() - weights.keys()):
        return False
    model.load_state_dict(weights, strict=False)
    return True


def set_weights_of_all(
    model: Any, first: bool, weights: Callable[[], dict[str, torch.Tensor]]
) -> bool:
    """As `set_weights`, on every process that has such a model; all of them have to call this.

    Args:
        model: As `load` gives it, on the device of its process.
        first: Whether this is the first process, which alone reads the weights: the others take
            them from it, tensor by tensor, and hold them once.
        weights: Returns them.
    """
    if not (distributed.is_available() and distributed.is_initialized()):
        return set_weights(model, weights())
    fits = [set_weights(model, weights()) if first else False]
    distributed.broadcast_object_list(fits, src=0)
    if fits[0]:
        for tensor in _replaced(model):
            whole = tensor.contiguous()
            distributed.broadcast(whole, src=0)
            if whole is not tensor:
                tensor.copy_(whole)
    return fits[0]


def _replaced(model: Any) -> list[torch.Tensor]:
    """Return the tensors that `set_weights` gives other values, tied ones once, in their order."""
    found: dict[str, torch.Tensor]
    if hasattr(model, "peft_config"):
        from peft import get_peft_model_state_dict

        found = get_peft_model_state_dict(model)
    else:
        found = model.state_dict()
    return list({tensor.data_ptr(): tensor for _, tensor in sorted(found.items())}.values())


def load(folder: Path, config: Config, remote_code: str | None = None) -> Any:
    """Return the model in `folder`: whole, or the adapter on the model it was trained on."""
    dtype = getattr(torch, config.model.dtype)
    if not (folder / ADAPTER).exists():
        # The code, if there is any, was saved with the weights; the commit holds for the rest.
        how = allowed(config, remote_code)
        how.pop("revision", None)
        if config.model.attn_implementation:  # scored as it was trained
            how["attn_implementation"] = config.model.attn_implementation
        return AutoModelForCausalLM.from_pretrained(
            str(folder), dtype=dtype, use_safetensors=True, **how
        )
    from peft import PeftModel

    return PeftModel.from_pretrained(base_model(config, remote_code), str(folder))


def base_model(config: Config, remote_code: str | None = None) -> Any:
    """Return the model under the adapter, as it was before the run."""
    from dataclasses import replace

    from ftadvise_trainer import models
    from ftadvise_trainer.tokenizers import load_tokenizer

    family = models.family_of(config, remote_code=remote_code)
    tokenizer = load_tokenizer(config, family, remote_code=remote_code)
    whole = replace(config, lora=None)
    return models.load_model(whole, tokenizer, family, remote_code=remote_code)


def merged_adapter(config: Config, remote_code: str | None = None) -> Callable[[Path], None]:
    """Return a last touch for `final`: the adapter merged into the model it was trained on."""

    def merge(folder: Path) -> None:
        model = load(folder, config, remote_code).merge_and_unload()
        for name in ("adapter_model.safetensors", ADAPTER):
            (folder / name).unlink()
        model.save_pretrained(str(folder))

    return merge
