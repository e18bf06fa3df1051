"""Reads a training YAML into a `Config`, and reports all mistakes in it at once."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftadvise.text import clean
from ftadvise_trainer.config import Config, DataConfig, LoraSettings, ModelConfig, TrainingConfig
from ftadvise_trainer.settings import checks as config_checks
from ftadvise_trainer.settings.keys import SECTIONS, argument_types, own_types, why_not
from ftadvise_trainer.settings.mistakes import Mistakes, did_you_mean
from ftadvise_trainer.settings.values import WrongType, typed
from ftadvise_trainer.settings.yaml_file import Given, parse, read_text, scalar

if TYPE_CHECKING:
    from collections.abc import Sequence

# The values of a section by key, each as it was written.
_Section = dict[str, Given]


@dataclass(frozen=True)
class Loaded:
    """A `Config` together with where each of its values comes from.

    Attributes:
        config: The settings.
        lines: Line of each key that somebody wrote, by section and key; 0 for `--set`.
    """

    config: Config
    lines: dict[tuple[str, str], int]


def load_config(path: str | Path, overrides: Sequence[str] = ()) -> Config:
    """Return the settings of a training YAML.

    What it leaves out has our default here; `recipes.with_family_defaults` puts the defaults of
    the model's family in its place, which `train` does by itself.

    Args:
        path: The YAML.
        overrides: Settings that count more than the file, as in `training.learning_rate=1e-5`.

    Raises:
        ConfigError: If anything is wrong, with every mistake in it.
    """
    return load(path, overrides).config


def load(path: str | Path, overrides: Sequence[str] = ()) -> Loaded:
    """As `load_config`, and also say where each value comes from."""
    path = Path(path)
    mistakes = Mistakes(str(path))
    document = parse(read_text(path), mistakes)
    sections = _sections(document, mistakes)
    for override in overrides:
        _override(sections, override, mistakes)
    lines = {(s, key): g.line for s, keys in sections.items() for key, g in keys.items()}
    values = {name: _values(name, keys, mistakes) for name, keys in sections.items()}
    config = _settled(
        Config(
            model=ModelConfig(**values.get("model", {})),
            data=DataConfig(**values.get("data", {})),
            training=TrainingConfig(**values.get("training", {})),
            lora=LoraSettings(**values["lora"]) if "lora" in values else None,
            path=str(path),
            written=frozenset(key for section, key in lines if section == "training"),
        ),
        set(lines),
    )
    taken = {(s, key) for s in values for key in (*values[s], *values[s].get("more", ()))}
    for section, key, message in config_checks.problems(config):
        line = lines.get((section, key))
        if line is None or (section, key) in taken:  # else its mistake has been named already
            mistakes.add(f"{section}.{key}: {message}", line)
    mistakes.raise_if_any()
    return Loaded(config, lines)


def _sections(document: Given, mistakes: Mistakes) -> dict[str, _Section]:
    """Return the sections that are there, and note what is none."""
    if document.value is None:
        return {}
    if not isinstance(document.value, dict):
        mistakes.add("must have the sections model:, data: and training:", document.line)
        return {}
    found: dict[str, _Section] = {}
    top: _Section = document.value  # pyright: ignore[reportUnknownVariableType]
    for name, given in top.items():
        if name not in SECTIONS:
            mistakes.add(f"{clean(name, 80)}: {_elsewhere(name)}", given.line)
        elif isinstance(given.value, dict):
            found[name] = given.value
        elif given.value is not None:
            mistakes.add(f"{name}: must be a section with keys of its own", given.line)
        elif name != "lora":  # `lora:` with nothing under it is no LoRA
            found[name] = {}
    return found


def _elsewhere(name: str) -> str:
    """Say where a key that is no section belongs."""
    for section in ("training", "model", "data"):
        if name in own_types(section):
            return f"must stand under {section}:"
    meant = did_you_mean(name, SECTIONS)
    if not meant and name in argument_types():
        return "must stand under training:"
    return f"no section of a training YAML{meant or ': ' + ', '.join(SECTIONS)}"


def _override(sections: dict[str, _Section], override: str, mistakes: Mistakes) -> None:
    """Put one `section.key=value` where it belongs."""
    name, equals, text = override.partition("=")
    section, *keys = name.strip().split(".")
    if not equals or section not in SECTIONS or not (keys or scalar(text.strip()) is None):
        meant = did_you_mean(section, SECTIONS) if equals and keys else ""
        example = "must look like training.learning_rate=1e-5"
        mistakes.add(f"{clean(override, 80)}: {example}{meant}", 0)
        return
    if not keys:
        sections.pop(section, None)  # `--set lora=null` is a full fine-tune again
        return
    target = sections.setdefault(section, {})
    for key in keys[:-1]:
        inner = target.get(key)
        if inner is None or not isinstance(inner.value, dict):
            inner = target[key] = Given({}, 0)
        target = inner.value  # pyright: ignore[reportUnknownVariableType]
    target[keys[-1]] = _override_value(text.strip(), mistakes)


def _override_value(text: str, mistakes: Mistakes) -> Given:
    # As YAML only where that is clearly meant: `--set "data.system=Note: be kind"` is a text.
    if text[:1] in ("[", "{", '"', "'"):
        return parse(text, mistakes, line=0)
    return Given(scalar(text), 0, text)


def _values(section: str, keys: _Section, mistakes: Mistakes) -> dict[str, Any]:
    """Return the values of a section, typed; what transformers alone knows goes to `more`."""
    own = own_types(section)
    values: dict[str, Any] = {}
    more: dict[str, Any] = {}
    for key, given in keys.items():
        name = f"{section}.{clean(key, 80)}"
        reason = None if key in own else why_not(section, key)
        if reason:
            mistakes.add(f"{name}: {reason}", given.line)
            continue
        try:
            if key in own:
                values[key] = typed(given, own[key])
            else:
                more[key] = typed(given, argument_types()[key])
        except WrongType as wrong:
            mistakes.add(f"{name}: {wrong}", given.line)
    return values | ({"more": more} if section == "training" else {})


def _settled(config: Config, given: set[tuple[str, str]]) -> Config:
    """Fill in the defaults that follow from other keys."""
    training = config.training
    changes: dict[str, Any] = {}
    evals = training.eval_strategy
    if training.eval_steps is not None and ("training", "eval_strategy") not in given:
        evals = changes["eval_strategy"] = "steps"
    saves = training.save_strategy
    if saves is None:
        by_steps = training.save_steps is not None or evals == "steps"
        saves = changes["save_strategy"] = "steps" if by_steps else "epoch"
    if saves == "steps" and training.save_steps is None:
        changes["save_steps"] = training.eval_steps
    if evals == "no" and ("training", "load_best_model_at_end") not in given:
        changes["load_best_model_at_end"] = False
    if "warmup_steps" in training.more and ("training", "warmup_ratio") not in given:
        changes["warmup_ratio"] = 0.0
    if training.report_to == ("none",):
        changes["report_to"] = ()
    return replace(config, training=replace(training, **changes))
