from __future__ import annotations

import types
from collections.abc import Callable
from typing import TYPE_CHECKING

import pytest

import ftadvise

if TYPE_CHECKING:
    import subprocess

Shell = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.mark.parametrize("name", ftadvise.__all__)
def test_every_public_name_can_be_used_and_is_no_module(name: str) -> None:
    assert not isinstance(getattr(ftadvise, name), types.ModuleType)
    assert name in dir(ftadvise)


def test_functions_stay_functions_whatever_was_imported_before(shell: Shell) -> None:
    program = """
import importlib, pathlib, ftadvise
for path in pathlib.Path(ftadvise.__file__).parent.glob("*.py"):
    if path.stem != "__main__":
        importlib.import_module("ftadvise." + path.stem.replace("__init__", "run"))
run = ftadvise.read("examples/chat")
print(type(ftadvise.fit(run)).__name__, type(ftadvise.replay(run, "keras")).__name__)
print(type(ftadvise.forecast(run, at=5)).__name__, type(ftadvise.should_stop(run)).__name__)
"""
    done = shell("-c", program)
    assert done.stdout == "Fit Replay\nForecast Decision\n", done.stderr


def test_a_name_that_there_is_none_of_raises_attribute_error() -> None:
    with pytest.raises(AttributeError, match="nothing_like_it"):
        _ = ftadvise.nothing_like_it
