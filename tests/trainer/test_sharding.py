"""Models spread over GPUs: what is refused before anything is loaded, and what counts on the disk."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from checkpoint_cases import write_files

from ftadvise_trainer import checkpoints, sharding
from ftadvise_trainer.config import Config, TrainingConfig
from ftadvise_trainer.config_file import load_config
from ftadvise_trainer.errors import TrainError
from ftadvise_trainer.training import train

TINY = Path(__file__).parents[2] / "examples" / "tiny" / "training.yaml"
LAUNCHED = {"ACCELERATE_USE_FSDP": "true"}
FULL: list[tuple[dict[str, Any], dict[str, str]]] = [
    ({}, {}),
    ({"fsdp": "full_shard"}, {}),
    ({"fsdp": True, "fsdp_config": {"state_dict_type": "FULL_STATE_DICT"}}, {}),
    ({}, LAUNCHED),
    ({}, LAUNCHED | {"FSDP_VERSION": "2", "FSDP_STATE_DICT_TYPE": "FULL_STATE_DICT"}),
    ({}, {"ACCELERATE_USE_DEEPSPEED": "false", "ACCELERATE_USE_FSDP": "0"}),
]
REFUSED: list[tuple[dict[str, Any], dict[str, str], str]] = [
    ({"deepspeed": "zero3.json"}, {}, "DeepSpeed"),
    ({}, {"ACCELERATE_USE_DEEPSPEED": "true"}, "DeepSpeed"),
    ({"fsdp": True, "fsdp_config": {"state_dict_type": "SHARDED_STATE_DICT"}}, {}, "SHARDED"),
    ({"fsdp": True, "fsdp_config": {"fsdp_state_dict_type": "LOCAL_STATE_DICT"}}, {}, "LOCAL"),
    ({}, LAUNCHED | {"FSDP_VERSION": "2"}, "SHARDED"),
    ({}, LAUNCHED | {"FSDP_STATE_DICT_TYPE": "sharded_state_dict"}, "sharded"),
    ({}, LAUNCHED | {"FSDP_STATE_DICT_TYPE": "3"}, "FSDP with 3"),
]


def checked(more: dict[str, Any], environment: dict[str, str]) -> None:
    sharding.check(Config(training=TrainingConfig(more=more)), environment)


@pytest.mark.parametrize(("more", "environment"), FULL)
def test_a_full_state_dict_is_taken(more: dict[str, Any], environment: dict[str, str]) -> None:
    checked(more, environment)


@pytest.mark.parametrize(("more", "environment", "named"), REFUSED)
def test_what_could_not_be_resumed_is_refused_and_what_can_is_named(
    more: dict[str, Any], environment: dict[str, str], named: str
) -> None:
    with pytest.raises(TrainError, match=named) as caught:
        checked(more, environment)
    assert "FULL_STATE_DICT" in caught.value.hint
    assert caught.value.exit_code == 2


def test_a_config_of_fsdp_in_a_file_is_read(tmp_path: Path) -> None:
    path = tmp_path / "fsdp.json"
    path.write_text('{"state_dict_type": "SHARDED_STATE_DICT"}')
    with pytest.raises(TrainError, match="SHARDED"):
        checked({"fsdp": True, "fsdp_config": str(path)}, {})
    path.write_text("[")
    with pytest.raises(TrainError, match="cannot be read"):
        checked({"fsdp": True, "fsdp_config": str(path)}, {})


def test_a_run_is_refused_before_its_first_step(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("ACCELERATE_USE_DEEPSPEED", "true")
    with pytest.raises(TrainError, match="DeepSpeed is not supported"):
        train(load_config(TINY, [f"training.output_dir={tmp_path}"]), stream=io.StringIO())
    assert not list(tmp_path.glob("checkpoint-*"))


@pytest.mark.parametrize(
    ("name", "valid"),
    [
        ("pytorch_model_fsdp.bin", True),  # beside model.safetensors, with FULL_STATE_DICT
        ("optimizer.bin", True),
        ("notes/README.md", True),
        ("pytorch_model_fsdp_0/__0_0.distcp", False),
        ("optimizer_0/__0_0.distcp", False),
        ("global_step8/mp_rank_00_model_states.pt", False),
        ("rng_state_0/state.pth", False),
        ("sub/optimizer.pt", False),
    ],
)
def test_what_the_manifest_covers_and_what_makes_a_checkpoint_invalid(
    tmp_path: Path, name: str, valid: bool
) -> None:
    folder = write_files(tmp_path / "checkpoint-8")
    (folder / name).parent.mkdir(exist_ok=True)
    (folder / name).write_bytes(b"x")
    manifest = checkpoints.write_manifest(folder, step=8)
    assert name in manifest.files
    assert (checkpoints.newest_valid(tmp_path)[0] == folder) is valid
