"""Two gloo processes give the numbers of one, and agree on when to break off, fail and stop."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from made_ranks import module_of, seen_by_ranks

pytest.importorskip("torch")
pytest.importorskip("transformers")

SCRIPT = Path(__file__).with_name("two_processes.py")


@pytest.fixture(scope="module")
def ranks(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What each of two processes saw."""
    return seen_by_ranks(SCRIPT, tmp_path_factory.mktemp("ranks"))


def test_training_gives_the_losses_and_weights_of_one_process(
    ranks: list[dict[str, Any]], tmp_path: Path
) -> None:
    two_processes = module_of(SCRIPT)

    alone = two_processes.trained(tmp_path, per_device_train_batch_size=4)
    assert len(alone["losses"]) == 6
    for found in ranks:
        assert found["trained"]["losses"] == pytest.approx(alone["losses"], abs=1e-6)
        assert found["trained"]["weights"].keys() == alone["weights"].keys()
        for name, numbers in found["trained"]["weights"].items():
            assert numbers == pytest.approx(alone["weights"][name], abs=1e-6), name


@pytest.mark.parametrize("which", ["evaluated", "uneven"])
def test_the_eval_loss_counts_no_row_twice(
    ranks: list[dict[str, Any]], tmp_path: Path, which: str
) -> None:
    two_processes = module_of(SCRIPT)

    for found in ranks:
        for rows, size, metrics in found[which]:
            alone = two_processes.evaluated(tmp_path, rows, size)
            assert metrics["eval_tokens"] == alone["eval_tokens"], (rows, size)
            assert metrics["eval_loss"] == pytest.approx(alone["eval_loss"], abs=1e-6)


def test_one_interrupted_process_breaks_the_evaluation_off_for_all(
    ranks: list[dict[str, Any]],
) -> None:
    polls = [found["interrupted"]["polls"] for found in ranks]
    assert polls[0] == polls[1]
    assert 3 <= polls[0] <= 5
    for found in ranks:
        assert found["interrupted"]["metrics"]["eval_interrupted"] == 1.0
        assert "eval_loss" not in found["interrupted"]["metrics"]


def test_a_loss_that_is_infinite_on_one_process_stops_all_with_one_message(
    ranks: list[dict[str, Any]],
) -> None:
    messages = {found["poisoned"]["message"] for found in ranks}
    assert len(messages) == 1
    assert messages.pop().startswith("step 3: loss not finite (micro-batch 1 of 1 has loss inf")
    for found in ranks:
        assert len(found["poisoned"]["losses"]) == 2
        assert found["poisoned"]["finite"]


def test_all_processes_stop_at_the_same_step(ranks: list[dict[str, Any]]) -> None:
    assert ranks[0]["stopped"] == ranks[1]["stopped"]
    assert ranks[0]["stopped"]["reason"]["epoch"] == 3.0


def test_the_balancing_loss_of_experts_counts_once_for_all_processes(
    ranks: list[dict[str, Any]], tmp_path: Path
) -> None:
    alone = module_of(SCRIPT).balanced(tmp_path)
    for found in ranks:
        assert found["balanced"]["losses"] == pytest.approx(alone["losses"], abs=1e-5)
        for name, numbers in found["balanced"]["weights"].items():
            assert numbers == pytest.approx(alone["weights"][name], abs=1e-5), name


def test_the_mean_of_checkpoints_is_read_by_the_first_process_and_sent_to_the_others(
    ranks: list[dict[str, Any]],
) -> None:
    for found in ranks:
        assert found["shared"] == [{"same": True}, {"same": True}]
