"""What is known of a run besides its curves."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from ftadvise.history import Facts, facts_in, facts_near
from ftadvise.history.facts import family_of, parameters_in

METRICS: dict[str, Any] = {
    "schema": "ftadvise.metrics/1",
    "model": "Qwen/Qwen2.5-0.5B",
    "data": {
        "fingerprint": "abc",
        "train": {"kept": 640, "total_tokens": 64_000, "trained_tokens": 9},
    },
    "config": {
        "model": {"family": None},
        "training": {
            "learning_rate": 2e-5,
            "lr_scheduler_type": "cosine",
            "per_device_train_batch_size": 4,
            "gradient_accumulation_steps": 2,
        },
        "lora": None,
    },
    "stopped": {"reason": "planned end", "step": 60, "epoch": 3.0},
}
EXPECTED = Facts(
    model="Qwen/Qwen2.5-0.5B",
    family="qwen",
    parameters=500_000_000,
    data="abc",
    examples=640,
    tokens_per_epoch=64_000,
    learning_rate=2e-5,
    schedule="cosine",
    batch_size=32,  # 4 processes: 640 examples in 20 steps of 4 times 2
    method="full",
    stopped="planned end",
)


def written(folder: Path, name: str, body: object) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / name
    path.write_text(json.dumps(body), encoding="utf-8")
    return path


def test_metrics_of_ours_say_all_of_it() -> None:
    assert facts_in(METRICS) == EXPECTED


def test_a_lora_says_its_rank() -> None:
    config = METRICS["config"] | {"lora": {"r": 16}}
    found = facts_in(METRICS | {"config": config})
    assert (found.method, found.lora_rank) == ("lora", 16)


def test_the_facts_lie_beside_the_state_and_above_a_checkpoint(tmp_path: Path) -> None:
    metrics = written(tmp_path, "training_metrics.json", METRICS)
    state = written(tmp_path, "trainer_state.json", {"log_history": []})
    below = written(tmp_path / "checkpoint-20", "trainer_state.json", {"log_history": []})
    for path in (metrics, state, below, tmp_path, below.parent):
        assert facts_near(path) == EXPECTED


def test_a_log_of_another_name_does_not_take_the_facts_of_its_neighbour(tmp_path: Path) -> None:
    written(tmp_path, "training_metrics.json", METRICS)
    assert facts_near(written(tmp_path, "other.json", [{"loss": 1.0}])) == Facts()


def test_a_checkpoint_of_transformers_names_its_model(tmp_path: Path) -> None:
    written(tmp_path, "config.json", {"model_type": "qwen2", "_name_or_path": "Qwen/Qwen2-7B"})
    found = facts_near(tmp_path)
    assert (found.model, found.family, found.parameters) == ("Qwen/Qwen2-7B", "qwen", 7 * 10**9)
    assert found.method is None, "nothing says that no adapter was trained"


def test_an_adapter_of_peft_names_what_it_adapts(tmp_path: Path) -> None:
    adapter = {"base_model_name_or_path": "google/gemma-2-2b", "r": 8}
    written(tmp_path, "adapter_config.json", adapter)
    found = facts_near(tmp_path)
    assert found == Facts(
        model="google/gemma-2-2b",
        family="gemma",
        parameters=2 * 10**9,
        method="lora",
        lora_rank=8,
    )


@pytest.mark.parametrize(
    ("name", "family", "parameters"),
    [
        ("Qwen/Qwen2.5-0.5B-Instruct", "qwen", 500_000_000),
        ("meta-llama/Meta-Llama-3-8B", "llama", 8 * 10**9),
        ("mistralai/Mixtral-8x7B-v0.1", "mixtral", 56 * 10**9),
        ("HuggingFaceTB/SmolLM2-135M", "smollm", 135 * 10**6),
        ("/models/gpt2", "gpt", None),
        ("out/checkpoint-500", None, None),
        ("model", None, None),
        ("", None, None),
    ],
)
def test_a_name_tells_family_and_size_where_it_has_them(
    name: str, family: str | None, parameters: int | None
) -> None:
    assert family_of(name) == family
    assert parameters_in(name) == parameters


@pytest.mark.parametrize(
    "document",
    [
        None,
        [],
        "text",
        {"data": 5, "config": [], "model": {"a": 1}},
        {"data": {"train": {"kept": "many", "total_tokens": float("nan")}}},
        {"config": {"training": {"learning_rate": 10**400, "per_device_train_batch_size": True}}},
        {"stopped": {"step": 0, "epoch": 0}, "config": {"lora": 3}},
    ],
)
def test_odd_documents_say_nothing(document: object) -> None:
    found = facts_in(document)
    assert found in (Facts(), Facts(method="full"))


@pytest.mark.parametrize("text", ["", "{", "[" * 100_000, "\x00", '{"config": 1e999}'])
def test_files_that_are_no_json_say_nothing(text: str, tmp_path: Path) -> None:
    (tmp_path / "training_metrics.json").write_text(text)
    (tmp_path / "config.json").write_text(text)
    assert facts_near(tmp_path) == Facts()
    assert facts_near(tmp_path / "nowhere") == Facts()


def test_a_folder_that_may_not_be_looked_into_says_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(13, "Permission denied")

    for name in ("stat", "is_dir", "is_file", "read_bytes"):
        monkeypatch.setattr(Path, name, refuse)
    assert facts_near(tmp_path / "training_metrics.json") == Facts()


def test_the_batch_over_all_processes_is_the_one_that_the_settings_name() -> None:
    training = {"batch_size": 128, "per_device_train_batch_size": 4}

    assert facts_in({"config": {"training": training}}).batch_size == 128
