"""Which family a model belongs to: by its type, its name and the tokens of its vocabulary."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ftadvise.families import ModelFamily
from ftadvise.plugins import collect
from ftadvise.text import nearest
from ftadvise_trainer.errors import TrainError

if TYPE_CHECKING:
    from collections.abc import Sequence

GENERIC = ModelFamily(name="generic", title="any other model")
"""Keeps the tokenizer's own chat template where it has one, and takes a plain one where not."""

_PROBE = "the question"


def known() -> list[ModelFamily]:
    """Return the families that plugins give, and the generic one."""
    return [*collect("register_model_families"), GENERIC]


def named(name: str, families: Sequence[ModelFamily]) -> ModelFamily:
    """Return the family called `name`, or raise `TrainError` with the closest names."""
    for family in families:
        if family.name == name.lower():
            return family
    names = sorted(family.name for family in families)
    meant = nearest(name.lower(), names)
    hint = f"Did you mean {meant}? " if meant else ""
    raise TrainError(
        f"model.family: no family is called {name!r}", hint=f"{hint}Known: {', '.join(names)}."
    )


def choose(
    model_type: str, name: str, tokenizer: Any, families: Sequence[ModelFamily]
) -> ModelFamily:
    """Return the best family for a model, the generic one when none fits.

    Several families may share a type (Llama 2, Llama 3, Alpaca and SmolLM do). The surest whose end
    of turn is a token of the vocabulary is taken. One that is known by its type alone also has to
    ask for an answer the way the tokenizer's own chat template does, if there is one: a Zephyr is
    a Mistral that was taught another format.

    Args:
        model_type: `model_type` of the model's config.
        name: The model's name or path.
        tokenizer: Its tokenizer as loaded.
        families: Those to choose from.
    """
    scored = [(family.matches(model_type, name), family) for family in families]
    for score, family in sorted(scored, key=lambda pair: -pair[0]):
        if score <= 0:
            break
        if family.end_of_turn is not None and family.end_of_turn not in tokenizer.get_vocab():
            continue
        if score > 1 or asks_alike(family, tokenizer):
            return family
    return GENERIC


def asks_alike(family: ModelFamily, tokenizer: Any) -> bool:
    """Say whether the family's template asks for an answer as the tokenizer's own does."""
    if family.chat_template is None or not tokenizer.chat_template:
        return True
    try:
        own, ours = (
            tokenizer.apply_chat_template(
                [{"role": "user", "content": _PROBE}],
                chat_template=template,
                tokenize=False,
                add_generation_prompt=True,
            )
            for template in (None, family.chat_template)
        )
    except Exception:  # noqa: BLE001  # a template may raise whatever it likes; then ours it is
        return True
    after = [str(text).rpartition(_PROBE)[2].split() for text in (own, ours)]
    return after[0] == after[1]
