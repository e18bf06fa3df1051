"""Every key of a training YAML, in the words of its dataclasses."""

from __future__ import annotations

import dataclasses
from typing import Any

from ftadvise.families import RECIPE_KEYS
from ftadvise_trainer.settings.keys import RENAMED, RESERVED, SECTIONS
from reference_pages.families import families, recipes
from reference_pages.markdown import WRITTEN, anchor, code, fenced, page, prose, table
from reference_pages.source import Field, item

_WORDS = {
    "str": "text",
    "int": "a whole number",
    "float": "a number",
    "bool": "true or false",
    "None": "nothing",
    "tuple[str, ...]": "a list of names",
}
_ABOUT = """
`ftadvise train training.yaml` reads this file, and `--set training.learning_rate=1e-5` stands in for
a line of it. A key that is not known is an error with the closest names. `ftadvise train
--print-config training.yaml` prints all settings with their defaults and where they come from.

For editors that check and complete YAML there is a [JSON Schema](../schemas/training.schema.json).
"""
_MORE = """
Any other key of `transformers.TrainingArguments` may stand under `training:` too and is passed on,
except [those that ftadvise has to set itself](#keys-that-cannot-be-set).
"""
_RECIPES = """
Where [a model's family](families.md) has a recipe, its values take the place of five defaults of
`training:` unless they are written down; `--print-config` says so and names the source.
"""


def pages() -> dict[str, str]:
    """Return the page of the settings by its path.

    Raises:
        ValueError: Two keys would have one anchor.
    """
    parts = [_ABOUT, "Every key with its default:", fenced(_yaml(), "yaml")]
    headings: list[str] = []
    for section in SECTIONS:
        one = item("ftadvise_trainer.config", SECTIONS[section].__name__)
        parts += [f"## {section}", prose(one.doc.summary)]
        parts.append(_MORE if section == "training" else "")
        parts.append(", ".join(f"[`{f.name}`](#{anchor(f.name)})" for f in _fields(section)) + ".")
        for field in _fields(section):
            headings.append(anchor(field.name))
            parts += [f"### {field.name}", *_key(section, field)]
        if section == "training":
            parts += ["### Defaults of model families", _RECIPES, _defaults()]
    if len(headings) != len(set(headings)):
        raise ValueError("two keys of the training YAML have one name")
    parts += ["## Keys that cannot be set", table(("key", "why"), _reserved())]
    return {"settings.md": page("Settings of a training YAML", WRITTEN, *parts)}


def _fields(section: str) -> list[Field]:
    one = item("ftadvise_trainer.config", SECTIONS[section].__name__)
    return [field for field in one.fields if field.name != "more"]


def _default(section: str, name: str) -> Any:
    return getattr(SECTIONS[section](), name)


def _key(section: str, field: Field) -> list[str]:
    default = _default(section, field.name)
    kind = " or ".join(_WORDS[arm.strip()] for arm in field.type.split(" | ") if arm != "None")
    left_out = "no default" if default in (None, "", ()) else f"default: {code(_plain(default))}"
    facts = f"{kind.capitalize()}; {left_out}."
    parts = [facts, prose(field.doc)]
    if section == "training" and field.name in RECIPE_KEYS:
        parts.append("[Model families have their own default](#defaults-of-model-families).")
    others = sorted(other for other, name in RENAMED.items() if name == field.name)
    if others:
        parts.append(f"In other tools: {', '.join(map(code, others))}.")
    return parts


def _plain(value: Any) -> str:
    """Return a value as YAML has it."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value)


def _yaml() -> str:
    """Return a YAML with every key; what has no default is a comment."""
    lines: list[str] = []
    for section in SECTIONS:
        optional = section == "lora"
        lines.append(
            f"{'# ' if optional else ''}{section}:{'  # left out: a full fine-tune' if optional else ''}"
        )
        for field in dataclasses.fields(SECTIONS[section]):
            if field.name == "more":
                continue
            value = _default(section, field.name)
            empty = value in (None, "", ())
            mark = "# " if empty or optional else ""
            written = "" if empty else f" {_plain(value)}"
            lines.append(f"  {mark}{field.name}:{written}")
    return "\n".join(lines)


def _defaults() -> str:
    rows: list[tuple[str, ...]] = []
    for family in families():
        for name, recipe, _ in recipes(family):
            of = "" if name != "LoRA" else ", LoRA"
            linked = f"[{family.title}](families.md#{anchor(family.title)}){of}"
            rows.append((linked, *(str(recipe.get(key, "")) for key in RECIPE_KEYS)))
    heads = ("family", "rate", "epochs", "warm-up", "weight decay", "schedule")
    return table(heads, rows)


def _reserved() -> list[tuple[str, str]]:
    return [(code(key), prose(f"{why[:1].upper()}{why[1:]}.")) for key, why in RESERVED.items()]
