"""What a model family is: the data type behind the `register_model_families` hook.

Plain data, so that a family can be named, matched and advised on without torch.
"""

from __future__ import annotations

from dataclasses import dataclass, field

Recipe = dict[str, float | int | str]
"""Settings by the names of `training:`."""

RECIPE_KEYS = (
    "learning_rate",
    "num_train_epochs",
    "warmup_ratio",
    "weight_decay",
    "lr_scheduler_type",
)
"""The settings for which a family may have a default: what makes up a recipe, and no more."""


@dataclass(frozen=True)
class ModelFamily:
    """A kind of model, such as Qwen or Llama, and what a fine-tune has to know about it.

    Attributes:
        name: Short name in lower case, such as `"qwen"`.
        title: The name people write, such as `"Qwen"`.
        model_types: Values of `model_type` in `config.json` that belong to it.
        name_hints: Parts of a model's name, in lower case, that make it this family when several
            families share a `model_type` (`"alpaca"`).
        chat_template: Jinja template with `{% generation %}` around what the model has to say,
            its end of turn included; None keeps the tokenizer's own where that has the marks, and
            else falls back to the generic one.
        end_of_turn: The token that ends an answer, as text; None means the tokenizer's end of
            sequence.
        pad_tokens: Tokens to pad with, in order of preference, as text; the first that the
            vocabulary has and that ends nothing is taken.
        stop_tokens: Tokens at which generation has to stop besides `end_of_turn`.
        lora_targets: Names of the linear layers that LoRA adapts.
        defaults: Settings for `training:` that suit a full fine-tune of the family, of those in
            `RECIPE_KEYS`; they stand in for what the YAML leaves out.
        default_sources: Where the defaults come from, by the same keys.
        lora_defaults: The same for LoRA, which wants a higher learning rate.
        lora_default_sources: Where those come from, by the same keys.
    """

    name: str
    title: str = ""
    model_types: tuple[str, ...] = ()
    name_hints: tuple[str, ...] = ()
    chat_template: str | None = None
    end_of_turn: str | None = None
    pad_tokens: tuple[str, ...] = ()
    stop_tokens: tuple[str, ...] = ()
    lora_targets: tuple[str, ...] = ()
    defaults: Recipe = field(default_factory=Recipe)
    default_sources: dict[str, str] = field(default_factory=dict[str, str])
    lora_defaults: Recipe = field(default_factory=Recipe)
    lora_default_sources: dict[str, str] = field(default_factory=dict[str, str])

    def matches(self, model_type: str, name: str = "") -> float:
        """Return how well a model fits: 0 not at all, 1 by type, 2 by type and name.

        Args:
            model_type: `model_type` of the model's config.
            name: The model's name or path.
        """
        if model_type not in self.model_types:
            return 0.0
        hinted = any(hint in name.lower() for hint in self.name_hints)
        return 2.0 if hinted else (0.5 if self.name_hints else 1.0)
