"""Rows are as long as the memory of the device allows, and never longer than is of use."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

torch = pytest.importorskip("torch")
pytest.importorskip("transformers")

from tiny_models import tiny_model

from ftadvise_trainer.config import Config, ModelConfig, TrainingConfig
from ftadvise_trainer.processes.spread import parts_of
from ftadvise_trainer.speed import row_size
from ftadvise_trainer.speed.memory import Shape
from ftadvise_trainer.speed.row_size import MOST, MULTIPLE, Room, choose, rows_in, smaller

QWEN_0_5B = Shape(494_000_000, 494_000_000, 24, 896, 4864, 151_936)
QWEN_1_5B = Shape(1_544_000_000, 1_544_000_000, 28, 1536, 8960, 151_936)
QWEN_7B = Shape(7_616_000_000, 7_616_000_000, 28, 3584, 18_944, 152_064)
H100, H200, SMALL = (int(0.9 * gb * 1e9) for gb in (84, 150, 24))


def room(shape: Shape, memory: int | None, weight_bytes: int = 4, fused: bool = True) -> Room:
    return Room(shape, memory, weight_bytes, autocast=True, fused=fused)


def test_a_small_model_on_a_large_gpu_has_the_longest_rows_of_use() -> None:
    assert rows_in(room(QWEN_0_5B, H200)) == MOST
    assert room(QWEN_0_5B, H200).without_checkpointing() is None


@pytest.mark.parametrize(
    ("shape", "memory", "weight_bytes"),
    [(QWEN_0_5B, SMALL, 4), (QWEN_1_5B, H100, 4), (QWEN_7B, H200, 2)],
)
def test_rows_fill_the_memory_and_no_more(shape: Shape, memory: int, weight_bytes: int) -> None:
    place = room(shape, memory, weight_bytes)
    tokens = rows_in(place)
    assert 0 < tokens < MOST
    assert tokens % MULTIPLE == 0
    assert place.needs(tokens).total <= memory < place.needs(tokens + MULTIPLE).total


def test_without_a_fused_loss_the_logits_make_rows_shorter() -> None:
    fused, plain = (rows_in(room(QWEN_0_5B, int(40e9), fused=f)) for f in (True, False))
    assert plain < 0.65 * fused


def test_checkpointing_is_suggested_only_where_memory_asks_for_it() -> None:
    assert room(QWEN_7B, H200, 2).without_checkpointing() is None
    reason = room(QWEN_7B, H100, 2).without_checkpointing(longest=2048)
    assert reason is not None
    assert "a row of 2,048 tokens would need about " in reason
    assert rows_in(room(QWEN_7B, H100, 2), checkpointing=True) > 2048


def test_an_example_longer_than_what_fits_still_has_a_row() -> None:
    place = room(QWEN_7B, 10, 2)
    assert rows_in(place, longest=3000) == 3072
    assert place.without_checkpointing(3000) is not None


def test_more_processes_have_room_where_weights_are_sharded_and_less_where_they_are_not() -> None:
    alone = room(QWEN_1_5B, H100)
    shards = replace(alone, processes=4, sharded=True)
    copies = replace(alone, processes=4)
    assert rows_in(copies) < rows_in(alone) < rows_in(shards)


def on_a_gpu(monkeypatch: pytest.MonkeyPatch, free: int, total: int) -> None:
    monkeypatch.setattr(torch.cuda, "mem_get_info", lambda _device: (free, total))
    monkeypatch.setattr(torch.cuda, "memory_reserved", lambda _device: 0)


def test_a_resumed_run_has_the_same_rows_though_less_is_free(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    model, config = tiny_model(), Config(training=TrainingConfig(bf16=False))
    total = 20_000_000
    found: list[int] = []
    for free in (total, int(0.9 * total), int(0.3 * total)):
        on_a_gpu(monkeypatch, free, total)
        found.append(choose(config, model, "cuda", fused=False))
    assert found[0] == found[1] > found[2] > MULTIPLE


def test_on_a_cpu_rows_have_a_fixed_size() -> None:
    assert choose(Config(), tiny_model(), "cpu") == row_size.ON_CPU
    assert row_size.suggest_checkpointing(Config(), tiny_model(), "cpu") is None


def test_what_the_settings_say_is_taken() -> None:
    config = Config(training=TrainingConfig(row_tokens=1000))
    assert choose(config, tiny_model(), "cpu") == 1000


def test_bfloat16_weights_leave_more_room(monkeypatch: pytest.MonkeyPatch) -> None:
    model: Any = tiny_model()
    on_a_gpu(monkeypatch, 10_000_000, 10_000_000)
    full = Config(training=TrainingConfig(bf16=True))
    half = replace(full, model=ModelConfig(dtype="bfloat16"))
    assert choose(full, model, "cuda") < choose(half, model, "cuda")


@pytest.mark.parametrize(
    ("tokens", "longest", "then"),
    [(4096, 100, 2048), (4096, 3000, 3072), (1000, 0, 512), (256, 256, None), (128, 0, None)],
)
def test_rows_are_halved_down_to_the_longest_example(
    tokens: int, longest: int, then: int | None
) -> None:
    assert smaller(tokens, longest) == then


def test_parts_of_the_model_are_those_of_a_host_where_each_host_has_all_of_it() -> None:
    from types import SimpleNamespace

    mesh = SimpleNamespace(dp_replicate_size=2, dp_shard_size=4)
    assert parts_of(SimpleNamespace(parallelism_config=mesh), 8) == 4
    assert parts_of(SimpleNamespace(parallelism_config=None), 8) == 8


@pytest.mark.parametrize(("mesh", "parts"), [(None, 8), (4, 4)])
def test_rows_are_chosen_for_the_parts_that_a_gpu_holds(
    monkeypatch: pytest.MonkeyPatch, mesh: int | None, parts: int
) -> None:
    from types import SimpleNamespace

    from ftadvise_trainer.speed import setting_up

    seen: list[tuple[int, bool]] = []

    def chosen(*_: Any, **how: Any) -> int:
        seen.append((how["processes"], how["sharded"]))
        return 256

    monkeypatch.setattr(row_size, "choose", chosen)
    monkeypatch.setenv("WORLD_SIZE", "8")
    config = Config(training=TrainingConfig(more={"gradient_checkpointing": False}))
    args = SimpleNamespace(
        fsdp=True,
        gradient_checkpointing=False,
        device="cpu",
        parallelism_config=mesh and SimpleNamespace(dp_shard_size=mesh),
    )
    setting_up._rows(config, args, None, True, 9)  # pyright: ignore
    assert seen == [(parts, True)]


def test_bfloat16_weights_that_fsdp_widens_take_four_bytes() -> None:
    config = Config(
        model=ModelConfig(dtype="bfloat16"),
        training=TrainingConfig(bf16=True, bf16_updates="kahan"),
    )
    place = torch.device("cpu")
    alone, cut = (
        row_size.room_for(config, QWEN_0_5B, place, True, 2, sharded) for sharded in (False, True)
    )
    assert (alone.weight_bytes, alone.kahan) == (2, True)
    assert (cut.weight_bytes, cut.kahan) == (4, False)
