"""A training YAML that wants harm ends in one clear line."""

from __future__ import annotations

import time
from pathlib import Path

import pytest

from ftadvise_trainer.settings.file import load_config
from ftadvise_trainer.settings.mistakes import ConfigError

GOOD = "model: {name_or_path: Qwen/Qwen2.5-0.5B}\ndata: {train: train.jsonl}\n"


BOMB = "a: &a [x,x,x,x,x,x,x,x,x,x]\n" + "".join(
    f"{name}: &{name} [{','.join(['*' + before] * 10)}]\n"
    for before, name in zip("abcdefgh", "bcdefghi", strict=True)
)
HOSTILE = {
    "alias bomb": (BOMB, "its aliases grow beyond measure"),
    "alias of itself": ("model: &a [*a]", "its aliases grow beyond measure"),
    "deep": ("model: " + "[" * 100_000, "nested deeper than 20 levels"),
    "deep mapping": ("{a: " * 50_000, "nested deeper than 20 levels"),
    "many": ("model: [" + "1," * 60_000 + "]", "more than 10000 values"),
    "large": ("#" * 300_000, "larger than 256 kB"),
    "python tag": (
        "model: !!python/object/apply:os.system [ls]",
        "!!python/object/apply:os.system",
    ),
    "python name": (
        "model: {family: !!python/name:os.system }",
        "the tag !!python/name:os.system",
    ),
    "two documents": ("a: 1\n---\nb: 2", "a second YAML document begins (---)"),
    "key that is a list": ("? [a]\n: b", "a key must be a name"),
    "control character": ("a: \x00", "not valid YAML"),
    "broken": ("model: [", "not valid YAML"),
    "tab": ("model:\n\tfamily: a", "not valid YAML"),
    "huge number": (GOOD + f"training: {{seed: {'9' * 5000}}}", "must be a whole number"),
    "huge float": (GOOD + "training: {learning_rate: 1e999}", "must be a finite number"),
    "escape": (GOOD + 'training: {"\\e[2J\\e]0;x": 1}', "unknown"),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_yaml_ends_in_one_clear_line_and_quickly(tmp_path: Path, name: str) -> None:
    text, message = HOSTILE[name]
    start = time.perf_counter()
    (tmp_path / "train.jsonl").write_text("{}")
    (tmp_path / "training.yaml").write_text(text)
    with pytest.raises(ConfigError) as caught:
        load_config(tmp_path / "training.yaml")
    found = caught.value.mistakes
    assert caught.value.message.isprintable()
    assert time.perf_counter() - start < 20
    assert message in " ".join(found)
    assert all(line.isprintable() for line in found)


def test_what_is_no_file_is_said_to_be_none(tmp_path: Path) -> None:
    for path, message in ((tmp_path / "no.yaml", "no such file"), (tmp_path, "a folder")):
        with pytest.raises(ConfigError, match=message):
            load_config(path)
    (tmp_path / "latin.yaml").write_bytes(b"a: \xff")
    with pytest.raises(ConfigError, match="not UTF-8"):
        load_config(tmp_path / "latin.yaml")
