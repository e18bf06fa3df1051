"""Models spread over GPUs: how it is chosen, what is refused, and what counts on the disk."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import pytest
from checkpoint_cases import write_files

from ftadvise_trainer.config import Config, LoraSettings, TrainingConfig
from ftadvise_trainer.errors import TrainError
from ftadvise_trainer.processes import resharding, sharding
from ftadvise_trainer.saving import checkpoints
from ftadvise_trainer.settings.file import load_config
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
    assert "training.sharding" in caught.value.hint
    assert caught.value.exit_code == 2


# How it is spread ---------------------------------------------------------------------------------

TWO = {"WORLD_SIZE": "2", "LOCAL_WORLD_SIZE": "2", "GROUP_WORLD_SIZE": "1"}
HOSTS = {"WORLD_SIZE": "16", "LOCAL_WORLD_SIZE": "8", "GROUP_WORLD_SIZE": "2"}


def wanted(kind: str, **how: Any) -> Config:
    return Config(training=TrainingConfig(sharding=kind), **how)


@pytest.mark.parametrize("kind", sharding.KINDS)
def test_a_single_process_spreads_nothing(kind: str) -> None:
    assert sharding.chosen(wanted(kind), {}) == sharding.Sharding("none")
    assert sharding.arguments(wanted(kind), {}) == {}


def test_what_is_set_is_done_and_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharding, "on_gpus", lambda config: True)
    for kind, environment in (("ddp", TWO), ("fsdp", TWO), ("hsdp", HOSTS)):
        found = sharding.chosen(wanted(kind), environment)
        assert found.kind == kind
        assert found.note.endswith("as set")


@pytest.mark.parametrize(
    ("room", "environment", "kind"),
    [(200, TWO, "ddp"), (100, TWO, "fsdp"), (100, HOSTS, "hsdp"), (200, HOSTS, "ddp")],
)
def test_auto_cuts_a_model_that_does_not_fit_a_gpu_with_its_optimizer(
    monkeypatch: pytest.MonkeyPatch, room: int, environment: dict[str, str], kind: str
) -> None:
    torch = pytest.importorskip("torch")

    class Gpu:
        total_memory = room * 10**9

    monkeypatch.setattr(sharding, "on_gpus", lambda config: True)
    monkeypatch.setattr(torch.cuda, "get_device_properties", lambda index: Gpu())
    monkeypatch.setattr(sharding, "held_by_each", lambda config: 100 * 10**9)
    found = sharding.chosen(wanted("auto"), environment)
    assert found.kind == kind
    assert "100.0 GB of weights, gradients and optimizer" in found.note
    assert sharding.chosen(wanted("auto", lora=LoraSettings()), environment).kind == "ddp"


def test_a_model_whose_size_is_not_known_is_not_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    torch = pytest.importorskip("torch")

    def unknown(config: Config) -> int:
        raise TrainError("it has code of its own")

    monkeypatch.setattr(sharding, "on_gpus", lambda config: True)
    monkeypatch.setattr(
        torch.cuda, "get_device_properties", lambda index: type("Gpu", (), {"total_memory": 1})
    )
    monkeypatch.setattr(sharding, "held_by_each", unknown)
    found = sharding.chosen(wanted("auto"), TWO)
    assert found.kind == "ddp"
    assert "not known" in found.note


def test_what_each_gpu_holds_is_counted_from_the_model() -> None:
    config = load_config(TINY)
    from ftadvise_trainer.models import family_of
    from ftadvise_trainer.speed.memory import shape_of

    parameters = shape_of(config, family_of(config)).parameters
    assert sharding.held_by_each(config) == 20 * parameters  # 4 weights, 2 x 4 gradients, 8 Adam


@pytest.mark.parametrize(
    ("config", "environment", "named"),
    [
        (wanted("fsdp", lora=LoraSettings()), TWO, "with lora"),
        (wanted("hsdp"), TWO, "several hosts"),
        (wanted("hsdp"), HOSTS, "needs GPUs"),
        (wanted("zero"), TWO, "is none of"),
    ],
)
def test_what_does_not_go_together_is_refused(
    config: Config, environment: dict[str, str], named: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sharding, "on_gpus", lambda config: False)
    with pytest.raises(TrainError, match=named):
        sharding.arguments(config, environment)


def test_the_settings_are_those_that_transformers_and_accelerate_want(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(sharding, "on_gpus", lambda config: True)
    assert sharding.arguments(wanted("ddp"), TWO) == {"ddp_find_unused_parameters": False}
    made = sharding.arguments(wanted("fsdp"), TWO)
    assert made["fsdp"] is True
    assert made["fsdp_config"]["version"] == 2
    checked({"fsdp": True, "fsdp_config": made["fsdp_config"]}, {})
    mesh = sharding.arguments(wanted("hsdp"), HOSTS)["parallelism_config"]
    assert (mesh.dp_replicate_size, mesh.dp_shard_size) == (2, 8)


def test_gradients_are_reduced_and_losses_returned_in_float32(tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    from transformers import TrainingArguments

    from ftadvise_trainer.processes.sharded import keep_precision

    how = sharding.arguments(wanted("fsdp"), TWO)
    arguments = TrainingArguments(str(tmp_path), use_cpu=True, bf16=True, report_to=[], **how)
    keep_precision(arguments)
    given: Any = arguments.fsdp_plugin_args
    policy = given["mixed_precision_policy"]
    assert policy.param_dtype == torch.bfloat16
    assert (policy.reduce_dtype, policy.output_dtype) == (torch.float32, None)


# A checkpoint for the other way -------------------------------------------------------------------


def test_the_state_of_an_optimizer_goes_from_places_to_names_and_back() -> None:
    names = ["a.weight", "b.weight", "a.bias"]
    state = {
        "state": {0: {"step": 3}, 1: {"step": 4}, 2: {"step": 5}},
        "param_groups": [
            {"lr": 0.1, "weight_decay": 0.1, "params": [0, 1]},
            {"lr": 0.1, "weight_decay": 0.0, "params": [2]},
        ],
    }
    named = resharding.by_name(state, names)
    assert named["state"]["a.bias"] == {"step": 5}
    assert [group["params"] for group in named["param_groups"]] == [names[:2], names[2:]]
    named["param_groups"].reverse()
    assert resharding.by_place(named, names) == state


def test_a_copy_that_a_killed_run_has_left_is_deleted(tmp_path: Path) -> None:
    (tmp_path / ".resume-checkpoint-8").mkdir()
    (tmp_path / ".resume-checkpoint-8" / "optimizer.pt").write_bytes(b"x")
    (tmp_path / "checkpoint-8").mkdir()
    resharding.drop(tmp_path)
    assert [path.name for path in tmp_path.iterdir()] == ["checkpoint-8"]


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
