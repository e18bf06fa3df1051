"""Model families: how a model is recognised, and where the defaults of its recipe come from."""

from __future__ import annotations

import importlib
import pkgutil
import re

import ftadvise_plugins
from ftadvise.families import RECIPE_KEYS, ModelFamily, Recipe
from reference_pages.markdown import WRITTEN, bullets, code, page, prose, table

_URL = re.compile(r"https://\S+")
_ABOUT = """
A model belongs to a family by the `model_type` of its `config.json`, by its name, and by the tokens
of its vocabulary; `model.family` in a training YAML names it outright. The family gives the chat
template with the parts that are trained on, the tokens for padding and the end of a turn, the
layers that LoRA adapts, and defaults for [settings](settings.md) that nobody has written. A model
of no family keeps its tokenizer's own template. A plugin adds families:
[register_model_families](hooks/register_model_families.md).
"""


def families() -> list[ModelFamily]:
    """Return the families that come with ftadvise, in order of their titles."""
    found: list[ModelFamily] = []
    for module in pkgutil.iter_modules(ftadvise_plugins.__path__):
        plugin = importlib.import_module(f"ftadvise_plugins.{module.name}")
        if hasattr(plugin, "register_model_families"):
            found += plugin.register_model_families()
    return sorted(found, key=lambda family: family.title)


def pages() -> dict[str, str]:
    """Return the page of the families by its path."""
    parts = [_ABOUT]
    for family in families():
        parts += [f"## {family.title}", _facts(family)]
        for name, recipe, sources in recipes(family):
            parts += [f"**Defaults of {name}**", _recipe(recipe, sources)]
    return {"families.md": page("Model families", WRITTEN, *parts)}


def recipes(family: ModelFamily) -> list[tuple[str, Recipe, dict[str, str]]]:
    """Return the recipes of a family, with what each is for and its sources."""
    both = (
        ("a full fine-tune", family.defaults, family.default_sources),
        ("LoRA", family.lora_defaults, family.lora_default_sources),
    )
    return [(name, recipe, sources) for name, recipe, sources in both if recipe]


def _facts(family: ModelFamily) -> str:
    facts = {
        "Name": code(family.name),
        "Model types": _codes(family.model_types),
        "Known by the name": _codes(family.name_hints),
        "Ends a turn with": code(family.end_of_turn) if family.end_of_turn else "",
        "Padded with": _codes(family.pad_tokens, " or "),
        "Stops at, besides": _codes(family.stop_tokens),
        "LoRA adapts": _codes(family.lora_targets),
    }
    return bullets(f"{label}: {text}" for label, text in facts.items() if text)


def _codes(values: tuple[str, ...], joint: str = ", ") -> str:
    return joint.join(map(code, values))


def _recipe(recipe: Recipe, sources: dict[str, str]) -> str:
    rows = [(_key(key), code(f"{recipe[key]}")) for key in RECIPE_KEYS if key in recipe]
    said = dict.fromkeys(sources[key] for key in recipe)
    return "\n\n".join(
        [table(("setting", "value"), rows), *(f"Source: {_linked(s)}." for s in said)]
    )


def _key(key: str) -> str:
    return f"[`{key}`](settings.md#{key})"


def _linked(source: str) -> str:
    return _URL.sub(lambda url: f"<{url[0]}>", prose(source))
