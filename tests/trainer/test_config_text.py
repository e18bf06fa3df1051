"""The effective YAML says everything, says where it comes from, and loads back to the same."""

from __future__ import annotations

import dataclasses
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given, settings
from hypothesis import strategies as st

from ftadvise_trainer.config import Config
from ftadvise_trainer.settings.file import load, load_config
from ftadvise_trainer.settings.keys import SECTIONS, own_types
from ftadvise_trainer.settings.text import effective_yaml

GOOD = "model:\n  name_or_path: Qwen/Qwen2.5-0.5B\ndata:\n  train: train.jsonl\n"


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("config")
    for name in ("train.jsonl", "eval.jsonl", "no", "a: b", "#x", "é\u2028"):
        (made / name).write_text("{}\n")
    return made


def again(
    folder: Path, config_path: Path, overrides: tuple[str, ...] = ()
) -> tuple[Config, Config]:
    """Return a config, and what its effective YAML loads to."""
    loaded = load(config_path, overrides)
    printed = folder / "printed.yaml"
    printed.write_text(effective_yaml(loaded), encoding="utf-8")
    back = load_config(printed)
    return loaded.config, dataclasses.replace(back, path=loaded.config.path)


def is_number(text: str) -> bool:
    """Say whether a text without quotes would be read as a number (`1e5`, as people write it)."""
    try:
        float(text)
    except ValueError:
        return False
    return True


TEXT = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
NAME = st.sampled_from(["train.jsonl", "eval.jsonl", "no", "a: b", "#x", "é\u2028"])
NUMBER = st.floats(1e-12, 1e12)
COUNT = st.integers(1, 10**6)


def section(
    required: dict[str, Any], optional: dict[str, Any]
) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries(required, optional=optional)


TRAINING = section(
    {},
    {
        "output_dir": TEXT,
        "num_train_epochs": NUMBER | COUNT,
        "learning_rate": NUMBER,
        "lr_scheduler_type": st.sampled_from(["linear", "cosine", "warmup_stable_decay"]),
        "weight_decay": NUMBER,
        "per_device_train_batch_size": COUNT,
        "save_total_limit": COUNT,
        "early_stopping_patience": COUNT | st.none(),
        "stop_when_eval_rises_while_train_falls": COUNT | st.none(),
        "seed": st.integers(0, 2**32 - 1),
        "bf16": st.booleans() | st.none(),
        "report_to": st.lists(st.text("ab:# -", min_size=1, max_size=5), max_size=3),
        "eval_steps": COUNT,
        "adam_epsilon": NUMBER,
        "warmup_steps": COUNT,
        "run_name": TEXT,
        "lr_scheduler_kwargs": st.dictionaries(
            TEXT.filter(lambda key: key != "<<"),
            NUMBER | COUNT | TEXT.filter(lambda text: not is_number(text)) | st.booleans(),
            max_size=3,
        ),
    },
)
DOCUMENT = section(
    {
        "model": section(
            {"name_or_path": st.sampled_from(["Qwen/Qwen2.5-0.5B", "1e5", "no", "007"])},
            {"revision": TEXT, "family": TEXT | st.none(), "dtype": st.just("bfloat16")},
        ),
        "data": section(
            {"train": NAME},
            {"eval": NAME, "system": TEXT | st.none(), "eval_share": st.floats(0.001, 0.999)},
        ),
        "training": TRAINING,
    },
    {"lora": section({}, {"r": COUNT, "target_modules": st.lists(TEXT.filter(bool), max_size=3)})},
)


@settings(max_examples=200, deadline=None)
@given(document=DOCUMENT)
def test_the_effective_yaml_loads_back_to_the_same_settings(
    folder: Path, document: dict[str, Any]
) -> None:
    path = folder / "training.yaml"
    path.write_text(yaml.safe_dump(document, allow_unicode=False), encoding="utf-8")
    config, back = again(folder, path)
    assert back == config
    for name, value in document["training"].items():
        training = config.training
        kept = training.more[name] if name in training.more else getattr(training, name)
        assert (list(kept) if isinstance(kept, tuple) else kept) == value


def test_any_other_reader_of_yaml_gets_the_same_values(folder: Path) -> None:
    path = folder / "training.yaml"
    path.write_text(GOOD + "training: {learning_rate: 2e-5, lr_scheduler_kwargs: {min_lr: 1e-6}}")
    loaded = load(path)
    plain = yaml.safe_load(effective_yaml(loaded))
    assert plain["training"]["learning_rate"] == 2e-5
    assert plain["training"]["lr_scheduler_kwargs"] == {"min_lr": 1e-6}
    for name in ("model", "data", "training"):
        assert set(own_types(name)) <= set(plain[name])


@pytest.mark.parametrize("text", ["a, b", "[x", "x]", "no", "# x", "a: b", "1e5", "é\x85", "'"])
def test_text_inside_of_brackets_comes_back(folder: Path, text: str) -> None:
    path = folder / "training.yaml"
    extra = {"lora": {"target_modules": [text]}, "training": {"lr_scheduler_kwargs": {text: text}}}
    path.write_text(GOOD + yaml.safe_dump(extra), encoding="utf-8")
    config, back = again(folder, path)
    assert back == config
    assert config.lora is not None
    assert config.lora.target_modules == (text,)


def test_each_value_says_whether_it_was_set_and_where(folder: Path) -> None:
    path = folder / "training.yaml"
    path.write_text(GOOD + "training:\n  eval_steps: 24\n")
    lines = effective_yaml(load(path, ["training.seed=7"])).splitlines()
    assert "  train: train.jsonl  # set in line 4" in lines
    assert "  eval_steps: 24  # set in line 6" in lines
    assert "  eval_strategy: steps  # follows from other keys" in lines
    assert "  seed: 7  # set by --set" in lines
    assert "  learning_rate: 1.0e-05  # default" in lines


def test_every_key_of_every_section_has_a_docstring() -> None:
    import ast
    import inspect

    from ftadvise_trainer import config

    tree = ast.parse(inspect.getsource(config))
    for node in tree.body:
        if not isinstance(node, ast.ClassDef) or node.name == "Config":
            continue
        for field, after in zip(node.body[1:], node.body[2:], strict=False):
            if isinstance(field, ast.AnnAssign):
                assert isinstance(after, ast.Expr), f"{node.name}: {ast.unparse(field)}"
    assert set(SECTIONS) == {"model", "data", "training", "lora"}
