"""`ftadvise train` imports what transformers' Trainer needs, its own rooms, and nothing besides."""

from __future__ import annotations

import gc
import json
import subprocess
from collections.abc import Callable
from pathlib import Path

import click
import pytest
from click.testing import CliRunner

from ftadvise_trainer.errors import TrainError
from ftadvise_trainer.quick_imports import thawed, uncollected

Shell = Callable[..., "subprocess.CompletedProcess[str]"]

TINY = str(Path(__file__).parents[2] / "examples" / "tiny" / "training.yaml")
# What may come on top of `transformers.Trainer` before the first step: our rooms, and small ones.
OURS = {
    "_sqlite3",
    "click",
    "ftadvise",
    "ftadvise_plugins",
    "ftadvise_trainer",
    "numpy",
    "pluggy",
    "sqlite3",
    "tqdm",
    "yaml",
}
# Parts of torch for attention over packed rows and for models spread over GPUs: below 0.1 s.
PARTS = {
    "torch.distributed.checkpoint.state_dict",
    "torch.nn.attention.varlen",
    "torch.utils.flop_counter",
    "torch.utils.module_tracker",
}
_NEW = """
import json, sys
import torch
from transformers import Trainer
before = set(sys.modules)
from ftadvise_trainer import commands, training
from ftadvise_trainer.auto import run as auto_run
from ftadvise_trainer.settings import file as config_file
print(json.dumps(sorted(set(sys.modules) - before)))
"""
_WITHOUT = """
import builtins, json, sys
asked = set()
real = builtins.__import__
def noted(name, *args, **kwargs):
    asked.add(name.split(".")[0])
    return real(name, *args, **kwargs)
builtins.__import__ = noted
from ftadvise_trainer import commands
from ftadvise_trainer.settings import file as config_file
config_file.load("examples/tiny/training.yaml", ())
print(json.dumps(sorted(asked & {"torch", "transformers", "accelerate", "numpy", "peft"})))
"""


def printed(shell: Shell, code: str) -> set[str]:
    done = shell("-c", code)
    assert done.returncode == 0, done.stderr
    return set(json.loads(done.stdout.splitlines()[-1]))


@pytest.mark.long
def test_training_imports_no_packages_besides_those_of_transformers_trainer(shell: Shell) -> None:
    new = printed(shell, _NEW)
    assert {name for name in new - PARTS if name.split(".")[0] not in OURS} == set()


def test_settings_are_read_without_torch_and_transformers(shell: Shell) -> None:
    assert printed(shell, _WITHOUT) == set()


def test_what_is_imported_without_collections_is_left_out_of_later_ones() -> None:
    gc.unfreeze()
    try:
        with uncollected():
            assert not gc.isenabled()
            kept: list[list[int]] = [[] for _ in range(1000)]
        assert gc.isenabled()
        assert gc.get_freeze_count() > len(kept)
    finally:
        gc.unfreeze()


def test_a_collector_that_was_off_stays_off_and_an_import_error_goes_through() -> None:
    gc.disable()
    try:
        with uncollected():
            pass
        assert not gc.isenabled()
    finally:
        gc.enable()
    with pytest.raises(ImportError), uncollected():
        raise ImportError("gone")
    assert gc.isenabled()
    gc.unfreeze()


def test_a_train_command_gives_back_what_it_has_frozen(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """It may be called by a test, a notebook or a server, which goes on."""
    from ftadvise_trainer import training
    from ftadvise_trainer.commands import register_commands

    seen: list[int] = []

    def fails(*_: object, **__: object) -> None:
        seen.append(gc.get_freeze_count())
        raise TrainError("far enough")

    monkeypatch.setattr(training, "train", fails)
    gc.unfreeze()
    commands = click.Group()  # of its own: that of the command line may know no plugins in here
    register_commands(commands)
    result = CliRunner().invoke(commands, ["train", "--output-dir", str(tmp_path), TINY])
    assert "far enough" in str(result.exception)
    assert len(seen) == 1
    assert seen[0] > 10_000, "the imports are out of the way while it trains"
    assert gc.get_freeze_count() == 0
    assert gc.isenabled()


def test_nothing_that_was_frozen_before_is_given_back_where_nothing_was_frozen_since() -> None:
    gc.freeze()
    try:
        with thawed():
            pass
        assert gc.get_freeze_count() > 0
    finally:
        gc.unfreeze()
