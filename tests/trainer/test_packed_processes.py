"""Two gloo processes that pack have the losses and weights of one that does not."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path
from typing import Any

import pytest
from made_ranks import run_ranks

pytest.importorskip("torch")
pytest.importorskip("transformers")

SCRIPT = Path(__file__).with_name("packed_processes.py")


def script() -> Any:
    """The script as a module of this process."""
    spec = importlib.util.spec_from_file_location("packed_processes", SCRIPT)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def ranks(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What each of two processes saw."""
    folder = tmp_path_factory.mktemp("ranks")
    run_ranks(SCRIPT, folder)
    return [json.loads((folder / f"rank{rank}.json").read_text()) for rank in range(2)]


def assert_same(found: dict[str, Any], alone: dict[str, Any]) -> None:
    assert found["losses"] == pytest.approx(alone["losses"], abs=1e-6)
    assert [tokens for _, tokens in found["evals"]] == [tokens for _, tokens in alone["evals"]]
    assert [loss for loss, _ in found["evals"]] == pytest.approx(
        [loss for loss, _ in alone["evals"]], abs=1e-6
    )
    assert found["tokens"] == alone["tokens"]
    for name, numbers in found["weights"].items():
        assert numbers == pytest.approx(alone["weights"][name], abs=1e-6), name


@pytest.mark.parametrize("way", ["packed", "padded", "packed and cut"])
def test_a_batch_size_gives_two_processes_the_steps_of_one(
    ranks: list[dict[str, Any]], tmp_path: Path, way: str
) -> None:
    made = script()
    alone = made.trained(tmp_path, made.LAYOUTS[way.partition(" ")[0]])
    assert len(alone["losses"]) == 10
    for found in ranks:
        assert_same(found[way], alone)


def test_one_process_with_a_batch_size_has_the_steps_of_transformers(tmp_path: Path) -> None:
    made = script()
    padded = made.trained(tmp_path, None, per_device_train_batch_size=8)
    assert_same(made.trained(tmp_path, made.LAYOUTS["packed"]), padded)


@pytest.mark.parametrize("way", ["accumulated", "accumulated and cut"])
def test_without_a_batch_size_processes_may_have_unlike_numbers_of_rows(
    ranks: list[dict[str, Any]], tmp_path: Path, way: str
) -> None:
    made = script()
    alone = made.accumulated(tmp_path, 1)
    for found in ranks:
        assert_same(found[way], alone)
