"""A model that FSDP2 has cut over two gloo processes gives the numbers of one that is whole."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from made_ranks import module_of, seen_by_ranks

pytest.importorskip("torch")
pytest.importorskip("transformers")

from ftadvise_trainer.config import Config, ModelConfig, TrainingConfig
from ftadvise_trainer.processes.spread import widened
from ftadvise_trainer.saving.preflight import checkpoint_bytes

SCRIPT = Path(__file__).with_name("fsdp_processes.py")


@pytest.fixture(scope="module")
def ranks(tmp_path_factory: pytest.TempPathFactory) -> list[dict[str, Any]]:
    """What each of two processes saw."""
    return seen_by_ranks(SCRIPT, tmp_path_factory.mktemp("ranks"))


def test_losses_gradients_evaluations_and_weights_are_those_of_one_process(
    ranks: list[dict[str, Any]], tmp_path: Path
) -> None:
    script = module_of(SCRIPT)
    alone = script.trained(tmp_path, {}, 4)
    assert alone["sharded"] is False
    for found in ranks:
        assert found["trained"]["sharded"] is True
        for name in ("losses", "norms", "eval"):
            assert found["trained"][name] == pytest.approx(alone[name], rel=1e-5), name
    whole = ranks[0]["trained"]["weights"]
    assert whole.keys() == alone["weights"].keys()
    for name, numbers in whole.items():
        assert numbers == pytest.approx(alone["weights"][name], abs=1e-6), name


def test_a_loss_that_is_infinite_on_one_process_stops_all_with_one_message(
    ranks: list[dict[str, Any]],
) -> None:
    assert ranks[0]["poisoned"] == ranks[1]["poisoned"]
    assert ranks[0]["poisoned"]["message"].startswith("step 3: loss not finite (micro-batch 1 of")
    assert ranks[0]["poisoned"]["step"] == 2


def test_all_stop_at_the_same_step_and_the_best_checkpoint_gives_its_loss_again(
    ranks: list[dict[str, Any]],
) -> None:
    one, other = (found["stopped"] for found in ranks)
    assert {key: one[key] for key in one if key != "best"} == {
        key: other[key] for key in other if key != "best"
    }
    assert one["reason"]["epoch"] == 3.0
    assert len(one["kept"]) == 2
    assert one["valid"].endswith("checkpoint-3")
    for found in (one, other):
        _, recorded, again = found["best"]
        assert again == pytest.approx(recorded, rel=1e-6)


def test_a_signal_to_one_process_saves_the_same_step_on_all(ranks: list[dict[str, Any]]) -> None:
    assert ranks[0]["preempted"] == ranks[1]["preempted"]
    assert ranks[0]["preempted"] == {"step": 3, "saved": "checkpoint-3"}


def test_bfloat16_weights_are_trained_and_saved_as_float32_where_it_is_said_that_they_are(
    ranks: list[dict[str, Any]],
) -> None:
    for found in ranks:
        assert found["widened"]["types"] == ["torch.float32"]
    config = Config(model=ModelConfig(dtype="bfloat16"), training=TrainingConfig(bf16=True))
    wide = widened(config, cut=True, autocast=True)
    assert wide is True
    numbers = ranks[0]["widened"]["numbers"]
    estimate = checkpoint_bytes(config, numbers, numbers, cut=True, widened=wide)
    without = estimate - checkpoint_bytes(config, 0, 0)
    # Names and shapes weigh something in files as small as these.
    assert ranks[0]["widened"]["bytes"] == pytest.approx(without, rel=0.35)
    assert ranks[0]["widened"]["bytes"] > without
