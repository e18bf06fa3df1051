from __future__ import annotations

import dataclasses
import json
from typing import Any

import pytest

from ftadvise_trainer.config import Config, TrainingConfig, to_dict
from ftadvise_trainer.errors import TrainError
from ftadvise_trainer.settings import changes
from ftadvise_trainer.settings.keys import argument_types

SETTINGS = dataclasses.asdict(Config())


def changed(**training: object) -> list[changes.Change]:
    new = SETTINGS | {"training": SETTINGS["training"] | training}
    return changes.diff(json.loads(json.dumps(SETTINGS)), new)


def test_settings_that_have_been_through_json_have_not_changed() -> None:
    assert changed() == []


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("eval_steps", 10),
        ("save_steps", 10),
        ("save_total_limit", 9),
        ("early_stopping_patience", 7),
        ("early_stopping_threshold", 0.1),
        ("logging_steps", 3),
        ("per_device_eval_batch_size", 2),
        ("report_to", ("wandb",)),
    ],
)
def test_what_does_not_touch_the_weights_is_applied(key: str, value: object) -> None:
    (change,) = changed(**{key: value})
    assert change.applied
    assert change.reason
    changes.check([change])


@pytest.mark.parametrize(
    ("key", "value"),
    [("gradient_checkpointing", True), ("dataloader_num_workers", 2), ("run_name", "again")],
)
def test_a_key_of_transformers_that_does_not_touch_the_weights_is_applied(
    key: str, value: object
) -> None:
    given = Config(training=TrainingConfig(more={key: value}))
    (change,) = changes.diff(to_dict(Config()), to_dict(given))
    assert change.applied, str(change)


@pytest.mark.parametrize(
    ("key", "value"),
    [
        ("learning_rate", 1.0),
        ("num_train_epochs", 9),
        ("lr_scheduler_type", "cosine"),
        ("per_device_train_batch_size", 2),
        ("gradient_accumulation_steps", 2),
        ("seed", 7),
        ("bf16", True),
    ],
)
def test_what_makes_it_another_run_is_refused_unless_allowed_by_name(
    key: str, value: object
) -> None:
    found = changed(**{key: value})
    with pytest.raises(TrainError) as caught:
        changes.check(found)
    assert caught.value.code == "FT506"
    assert f"training.{key}" in str(caught.value)
    assert f"training.{key}" in caught.value.hint
    changes.check(found, allowed={f"training.{key}"})


def test_sections_of_their_own_are_refused_with_their_reason() -> None:
    old = SETTINGS | {"data_fingerprint": "a", "lora": None}
    new = SETTINGS | {"data_fingerprint": "b", "lora": {"r": 8}}
    found = changes.diff(old, new)
    assert {c.key for c in found} == {"data_fingerprint", "lora", "lora.r"}
    assert not any(c.applied for c in found)
    assert all("(refused: " in str(c) and "harmless" not in str(c) for c in found)


def test_a_setting_nobody_has_thought_of_is_refused() -> None:
    (change,) = changed(more={"optim": "sgd"})
    assert (change.key, change.old, change.applied) == ("training.more.optim", "(not set)", False)


def test_every_setting_has_a_verdict_and_every_verdict_a_setting() -> None:
    named = {f"training.{field.name}" for field in dataclasses.fields(TrainingConfig)}
    known = changes.APPLIED.keys() | changes.REFUSED.keys()
    assert named - {"training.more"} <= known
    named |= {f"training.{name}" for name in argument_types()}
    assert {key for key in known if key.startswith("training.")} <= named


def test_with_the_same_batch_size_the_number_of_processes_may_change() -> None:
    def found(old: int | None, new: int | None) -> dict[str, bool]:
        def settings(size: int | None, processes: int, micro: int) -> dict[str, Any]:
            keys = {"batch_size": size, "per_device_train_batch_size": micro}
            return {"training": SETTINGS["training"] | keys, "world_size": processes}

        made = changes.diff(settings(old, 2, 4), settings(new, 1, 8))
        return {change.key: change.applied for change in made}

    micro = "training.per_device_train_batch_size"
    assert found(8, 8) == {micro: True, "world_size": True}
    assert found(None, None) == {micro: False, "world_size": False}
    assert found(8, 16) == {micro: False, "world_size": False, "training.batch_size": False}


def test_a_setting_that_an_older_checkpoint_does_not_know_and_that_is_not_set_is_no_change() -> (
    None
):
    old = {"training": {"seed": 1}}
    assert changes.diff(old, {"training": {"seed": 1, "batch_size": None}}) == []
    (change,) = changes.diff(old, {"training": {"seed": 1, "batch_size": 8}})
    assert not change.applied
