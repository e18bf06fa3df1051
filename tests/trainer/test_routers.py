"""The balancing loss of a mixture of experts counts once for a step."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("transformers")

import torch
from tiny_models import (
    ROUTER_WEIGHT,
    Example,
    Rows,
    arguments,
    pad,
    ragged_dataset,
    tiny_experts,
    weights,
)

from ftadvise_trainer.data.collate import Collator
from ftadvise_trainer.data.packing import Layout
from ftadvise_trainer.finetuner import FineTuner
from ftadvise_trainer.routers import coefficient, tokens_of


def stepped(folder: Path, data: Any, group: int | None, kind: str = "mixtral", **more: Any) -> Any:
    """Train one step of all of `data` in groups of so many examples; None lets the YAML's do."""
    settings: dict[str, Any] = {"max_steps": 1, "optim": "sgd", "learning_rate": 0.1} | more
    layout = Layout(0, batch_size=len(data), examples=group) if group else None
    trainer = FineTuner(
        tiny_experts(kind),
        arguments(folder, **settings),
        data_collator=Collator(0) if group else pad,
        train_dataset=data,
        layout=layout,
    )
    trainer.train()
    return trainer


def loss_of(trainer: Any) -> float:
    return float(trainer.state.log_history[0]["loss"])


def change(trainer: Any, kind: str = "mixtral") -> torch.Tensor:
    """Return by how much one step has changed each weight, in a row."""
    before, after = weights(tiny_experts(kind)), weights(trainer.model)
    return torch.cat([(after[name] - before[name]).flatten() for name in sorted(after)])


def same(times: int) -> Rows:
    row: Example = {"input_ids": [5, 9, 17, 33, 4, 8], "labels": [-100, 9, 17, 33, 4, 8]}
    return Rows([row] * times)


@pytest.mark.parametrize("kind", ["mixtral", "qwen2_moe"])
def test_groups_that_are_alike_make_the_step_of_one_group_with_its_balancing_loss(
    tmp_path: Path, kind: str
) -> None:
    one, cut = (stepped(tmp_path, same(6), size, kind) for size in (6, 2))
    assert loss_of(cut) == pytest.approx(loss_of(one), abs=1e-5)
    torch.testing.assert_close(change(cut, kind), change(one, kind), atol=1e-6, rtol=1e-4)


def test_groups_that_differ_add_the_mean_of_their_balancing_losses_by_tokens(
    tmp_path: Path,
) -> None:
    data = ragged_dataset(9, seed=3)
    whole, cut = stepped(tmp_path, data, 9), stepped(tmp_path, data, 2)
    model = tiny_experts()
    batch = Collator(0)([data[place] for place in range(9)])
    with torch.no_grad():
        balance = float(model(**batch).aux_loss)
    # Five groups: transformers would add the balancing loss five times.
    assert loss_of(cut) == pytest.approx(loss_of(whole), abs=0.1 * ROUTER_WEIGHT * balance)
    found = torch.nn.functional.cosine_similarity(change(cut), change(whole), dim=0)
    assert float(found) > 0.97


def test_accumulated_batches_of_transformers_count_it_once_too(tmp_path: Path) -> None:
    how: dict[str, Any] = {"per_device_train_batch_size": 2, "gradient_accumulation_steps": 3}
    cut = stepped(tmp_path, same(6), None, **how)
    whole = stepped(tmp_path, same(6), None, per_device_train_batch_size=6)
    assert loss_of(cut) == pytest.approx(loss_of(whole), abs=1e-5)
    torch.testing.assert_close(change(cut), change(whole), atol=1e-6, rtol=1e-4)


def test_a_model_has_a_weight_for_it_where_it_adds_one() -> None:
    assert coefficient(tiny_experts()) == ROUTER_WEIGHT
    assert coefficient(tiny_experts(router=False)) is None
    assert coefficient(torch.nn.Linear(1, 1)) is None


def test_neither_padding_nor_what_fills_up_a_step_counts_as_tokens() -> None:
    batch = Collator(0)(
        [
            {"input_ids": [5, 6, 7], "labels": [-100, 6, 7]},
            {"input_ids": [5, 6], "labels": [-100, 6]},
            {"input_ids": [0], "labels": [-100]},
        ]
    )
    assert int(tokens_of(batch)) == 5
    assert int(tokens_of({"input_ids": batch["input_ids"]})) == 9
