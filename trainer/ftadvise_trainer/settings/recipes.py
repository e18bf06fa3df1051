"""The family's recipe: what the model's makers used, for settings that nobody has written."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from ftadvise.families import RECIPE_KEYS
from ftadvise.text import clean
from ftadvise_trainer.config import TrainingConfig
from ftadvise_trainer.errors import TrainError

if TYPE_CHECKING:
    from ftadvise.families import ModelFamily
    from ftadvise_trainer.config import Config

# A scheduler that is left out is not the family's where its arguments are given.
_GOES_WITH = {"lr_scheduler_type": "lr_scheduler_kwargs"}


def with_family_defaults(config: Config, family: ModelFamily) -> Config:
    """Return the settings with the family's defaults in place of ours, and their sources.

    Only settings that were read from a file take them, and of those what the file and `--set` leave
    out and nobody has changed since. A full fine-tune takes `family.defaults`, LoRA
    `family.lora_defaults`.

    Args:
        config: The settings; `config.written` says what was written.
        family: As `models.family_of` gives it.
    """
    if config.written is None:
        return config
    settings, sources = family.defaults, family.default_sources
    if config.lora is not None:
        settings, sources = family.lora_defaults, family.lora_default_sources
    taken: dict[str, Any] = {
        key: _typed(family, key, settings[key]) for key in left_out(config) if key in settings
    }
    said = {key: sources.get(key, f"the family {family.name}") for key in taken}
    training = replace(config.training, **taken)
    return replace(config, training=training, sources={**config.sources, **said})


def _typed(family: ModelFamily, key: str, value: object) -> float | str:
    """Return a default in the type of its setting, so that it is written as one from a YAML."""
    if key == "lr_scheduler_type" and isinstance(value, str):
        return value
    if key != "lr_scheduler_type" and isinstance(value, int | float):
        return float(value)
    message = f"the model family {family.name} has the default {clean(value, 60)!r} for {key}"
    raise TrainError(message, hint=f"Write training.{key} yourself, and tell the plugin's author.")


def looked_up(config: Config, remote_code: str | None) -> tuple[Config, str]:
    """Return the settings with the family's defaults, and what could not be found out if any.

    The model's config and tokenizer are only looked at, and transformers loaded, when there is a
    setting that a family could have a default for.
    """
    if not left_out(config):
        return config, ""
    try:
        from ftadvise_trainer.models import family_of

        return with_family_defaults(config, family_of(config, remote_code=remote_code)), ""
    except (TrainError, ImportError) as error:
        return config, f"Without the defaults of the model's family, which is not known: {error}"


def left_out(config: Config) -> list[str]:
    """Return the settings that a family's recipe may stand in for."""
    if config.written is None:
        return []
    ours = TrainingConfig()
    return [
        key
        for key in RECIPE_KEYS
        if key not in config.written
        and getattr(config.training, key) == getattr(ours, key)
        and _GOES_WITH.get(key) not in config.training.more
        and key not in config.sources
    ]


def lines(config: Config) -> list[str]:
    """Return what was taken from where, a line for each source."""
    by_source: dict[str, list[str]] = {}
    for key, source in config.sources.items():
        by_source.setdefault(source, []).append(f"{key} {getattr(config.training, key)}")
    return [f"{', '.join(values)}: {clean(source, 300)}" for source, values in by_source.items()]
