"""What the Python of a page takes for granted, by the names that its comments `given:` use.

Each makes the names that a block uses without defining them. The work is small: a Llama of two
layers, or the example's model from random weights, on a CPU.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pytest

Given = dict[str, Any]


def trainer_and_optimizer(patch: pytest.MonkeyPatch) -> Given:
    """A Trainer with its model and data, for which `...` stands; an optimizer and its steps."""
    import torch

    trainer = _small_trainer()
    model = trainer().model
    return {
        "Trainer": trainer,
        "optimizer": torch.optim.AdamW(model.parameters()),
        "total_steps": 400,
        "steps_per_epoch": 20,
    }


def transformers(patch: pytest.MonkeyPatch) -> Given:
    """The same Trainer, under its name in transformers."""
    import transformers as library

    patch.setattr(library, "Trainer", _small_trainer())
    return {}


def trl(patch: pytest.MonkeyPatch) -> Given:
    """A model, its tokenizer, texts and settings for TRL."""
    datasets = pytest.importorskip("datasets")
    library = pytest.importorskip("trl")
    from transformers import AutoConfig, AutoModelForCausalLM, AutoTokenizer

    where = "examples/tiny/model"
    texts = datasets.Dataset.from_dict({"text": ["It is green.", "They bark."] * 8})
    return {
        "model": AutoModelForCausalLM.from_config(AutoConfig.from_pretrained(where)),
        "tokenizer": AutoTokenizer.from_pretrained(where),
        "train_data": texts,
        "eval_data": texts,
        "args": library.SFTConfig(
            "out", eval_strategy="steps", eval_steps=2, max_steps=8, report_to=[], use_cpu=True
        ),
    }


def _small_trainer() -> Callable[..., Any]:
    from tiny_models import arguments, pad, ragged_dataset, tiny_model
    from transformers import Trainer

    def make(*_: Any, **given: Any) -> Any:
        return Trainer(
            tiny_model(),
            arguments("out", eval_strategy="steps", eval_steps=2, max_steps=6),
            data_collator=pad,
            train_dataset=ragged_dataset(8),
            eval_dataset=ragged_dataset(8, seed=1),
            **given,
        )

    return make


GIVENS: dict[str, Callable[[pytest.MonkeyPatch], Given]] = {
    "trainer and optimizer": trainer_and_optimizer,
    "transformers": transformers,
    "TRL": trl,
}
