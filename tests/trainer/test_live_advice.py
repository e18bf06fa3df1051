"""The advisor's callbacks find the base class of their framework, or say that it is missing."""

from __future__ import annotations

import sys
from types import ModuleType

import pytest

from ftadvise_trainer.callbacks.live_advice import callback_of
from ftadvise_trainer.errors import TrainError


def test_a_framework_that_is_missing_is_named_with_what_to_do() -> None:
    with pytest.raises(TrainError, match="needs no_such_framework") as caught:
        callback_of("no_such_framework.callbacks", "no_such_either")
    assert caught.value.code == "FT509"
    assert caught.value.hint == "pip install no_such_framework"


def test_a_callback_fits_every_name_that_its_framework_has(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    for name in ("made_old", "made_new"):
        module = ModuleType(name)
        vars(module)["Callback"] = type("Callback", (), {})
        monkeypatch.setitem(sys.modules, name, module)
    base = callback_of("made_new", "no_such_framework", "made_old")
    for name in ("made_old", "made_new"):
        assert issubclass(base, vars(sys.modules[name])["Callback"])
