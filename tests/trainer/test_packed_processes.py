"""Two gloo processes that pack have the losses and weights of one that does not."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from made_ranks import module_of, seen_by_ranks

pytest.importorskip("torch")
pytest.importorskip("transformers")

SCRIPT = Path(__file__).with_name("packed_processes.py")


@pytest.fixture(scope="module")
def ranks(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What each of two processes saw."""
    return seen_by_ranks(SCRIPT, tmp_path_factory.mktemp("ranks"))


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
    made = module_of(SCRIPT)
    alone = made.trained(tmp_path, made.LAYOUTS[way.partition(" ")[0]])
    assert len(alone["losses"]) == 10
    for found in ranks:
        assert_same(found[way], alone)


def test_one_process_with_a_batch_size_has_the_steps_of_transformers(tmp_path: Path) -> None:
    made = module_of(SCRIPT)
    padded = made.trained(tmp_path, None, per_device_train_batch_size=8)
    assert_same(made.trained(tmp_path, made.LAYOUTS["packed"]), padded)


@pytest.mark.parametrize("way", ["accumulated", "accumulated and cut"])
def test_without_a_batch_size_processes_may_have_unlike_numbers_of_rows(
    ranks: list[dict[str, Any]], tmp_path: Path, way: str
) -> None:
    made = module_of(SCRIPT)
    alone = made.accumulated(tmp_path, 1)
    for found in ranks:
        assert_same(found[way], alone)
