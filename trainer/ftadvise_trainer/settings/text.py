"""Writes a `Config` as YAML that loads back to the same `Config`."""

from __future__ import annotations

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

import yaml

from ftadvise.text import clean
from ftadvise_trainer.settings.keys import SECTIONS, own_types

if TYPE_CHECKING:
    from ftadvise_trainer.config import Config
    from ftadvise_trainer.settings.file import Loaded


def effective_yaml(loaded: Loaded, missing: str = "") -> str:
    """Return the whole effective YAML, with a comment beside each value on where it comes from.

    Args:
        loaded: The settings.
        missing: What could not be found out, for a comment at the top.
    """
    config = loaded.config
    folder = clean(config.find(".").resolve(), 500)
    lines = [
        f"# The settings of {clean(config.path, 300)}, with all defaults.",
        f"# What it names for reading is looked for from {folder}",
    ]
    if missing:
        lines.append(f"# {clean(missing, 500)}")
    for section in ("model", "data", "training", "lora"):
        values = _values(config, section)
        if values is None:
            lines += ["", f"{section}: null  # default: all weights are trained"]
            continue
        lines += ["", f"{section}:"]
        for key, value in values.items():
            written = f"  {key}: {_flow(value)}"
            lines.append(f"{written}  # {_origin(loaded, section, key, value)}")
    return "\n".join(lines) + "\n"


def _values(config: Config, section: str) -> dict[str, Any] | None:
    part = getattr(config, section)
    if part is None:
        return None
    values: dict[str, Any] = asdict(part)
    more: dict[str, Any] = values.pop("more", {})
    return {key: values[key] for key in own_types(section)} | more


def _origin(loaded: Loaded, section: str, key: str, value: Any) -> str:
    line = loaded.lines.get((section, key))
    if line is not None:
        return f"set in line {line}" if line else "set by --set"
    if section == "training" and key in loaded.config.sources:
        return clean(loaded.config.sources[key], 300)
    default = getattr(SECTIONS[section](), key)
    return "default" if value == default else "follows from other keys"


def _flow(value: Any) -> str:
    """Return a value as YAML on one line."""
    if isinstance(value, dict):
        pairs = (f"{_scalar(key, True)}: {_inner(inner)}" for key, inner in value.items())
        return "{" + ", ".join(pairs) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(_inner(inner) for inner in value) + "]"
    return _scalar(value, quoted=False)


def _inner(value: Any) -> str:
    return _flow(value) if isinstance(value, dict | list) else _scalar(value, quoted=True)


def _scalar(value: Any, quoted: bool) -> str:
    # Double quotes have an escape for every character; in other styles some would be lost, and
    # inside of brackets a comma would end the text.
    style = '"' if isinstance(value, str) and (quoted or not _harmless(value)) else None
    text = yaml.safe_dump(value, default_style=style, width=1 << 30, allow_unicode=True)
    return text.removesuffix("\n").removesuffix("\n...").strip()


def _harmless(text: str) -> bool:
    return text.isascii() and text.isprintable()
