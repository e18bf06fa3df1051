from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from checkpoint_cases import make_checkpoint
from tiny_models import arguments, pad, ragged_dataset, tiny_model
from transformers import Trainer, TrainerCallback

from ftadvise_trainer.callbacks.best_k import BestK, finite_eval_losses
from ftadvise_trainer.saving.checkpoints import newest_valid, problems, read_manifest


class ScriptedEval(Trainer):  # type: ignore[misc]  # transformers has no types
    """A Trainer whose evaluations give the losses of a list, in turn."""

    losses: list[float]

    def evaluation_loop(self, *args: Any, **kwargs: Any) -> Any:
        output = super().evaluation_loop(*args, **kwargs)
        assert output.metrics is not None
        output.metrics["eval_loss"] = self.losses.pop(0)
        return output


def trainer(
    folder: Path, losses: list[float], *callbacks: TrainerCallback, **more: Any
) -> ScriptedEval:
    """Return a trainer of 8 steps, 4 to an epoch, that evaluates after every second step."""
    settings: dict[str, Any] = {
        "max_steps": 8,
        "per_device_train_batch_size": 2,
        "eval_strategy": "steps",
        "eval_steps": 2,
        "save_strategy": "no",
    }
    made = ScriptedEval(
        model=tiny_model(),
        args=arguments(folder, **(settings | more)),
        train_dataset=ragged_dataset(8),
        eval_dataset=ragged_dataset(2),
        data_collator=pad,
        callbacks=list(callbacks),
    )
    made.losses = losses
    return made


def steps(folder: Path) -> list[int]:
    return sorted(int(p.name.rpartition("-")[2]) for p in folder.glob("checkpoint-*"))


@pytest.mark.parametrize(
    ("losses", "k", "kept"),
    [
        ([1.0, 1.1, 1.2, 1.3], 1, [2]),
        ([1.3, 1.2, 1.1, 1.0], 2, [6, 8]),
        ([1.0, 1.5, 0.9, 1.2], 2, [2, 6]),
        ([math.nan, 1.5, math.inf, math.nan], 2, [4]),
        ([1.0, 1.0, 1.0, 1.0], 1, [2]),
    ],
)
def test_an_evaluation_among_the_best_k_is_saved_though_no_save_is_due(
    tmp_path: Path, losses: list[float], k: int, kept: list[int]
) -> None:
    trainer(tmp_path, losses, BestK(k)).train()
    assert steps(tmp_path) == kept
    assert all(problems(path) == [] for path in tmp_path.glob("checkpoint-*"))


def test_the_best_and_the_newest_are_kept_and_transformers_would_lose_the_best(
    tmp_path: Path,
) -> None:
    losses = [1.0, 1.1, 1.2, 1.3]
    save = {"save_strategy": "steps", "save_steps": 2}
    trainer(tmp_path / "ours", list(losses), BestK(1), **save).train()
    assert steps(tmp_path / "ours") == [2, 8]
    trainer(tmp_path / "plain", list(losses), **save, save_total_limit=2).train()
    assert steps(tmp_path / "plain") == [6, 8]


def test_what_is_kept_is_listed_with_its_losses(tmp_path: Path) -> None:
    keeper = BestK(2, config_hash="ab", settings={"training": {"seed": 7}})
    trainer(
        tmp_path, [1.0, 0.5, 0.7, math.nan], keeper, save_strategy="steps", save_steps=2
    ).train()
    assert keeper.checkpoints() == [
        {"path": f"{tmp_path}/checkpoint-4", "step": 4, "epoch": 1.0, "eval_loss": 0.5},
        {"path": f"{tmp_path}/checkpoint-6", "step": 6, "epoch": 1.5, "eval_loss": 0.7},
        {"path": f"{tmp_path}/checkpoint-8", "step": 8, "epoch": 2.0, "eval_loss": None},
    ]
    assert keeper.best() == tmp_path / "checkpoint-4"
    manifest = read_manifest(tmp_path / "checkpoint-4")
    assert manifest is not None
    assert (manifest.config_hash, manifest.settings) == ("ab", {"training": {"seed": 7}})


def test_a_checkpoint_without_an_evaluation_goes_when_a_newer_one_is_there(tmp_path: Path) -> None:
    keeper = BestK(1)
    trainer(
        tmp_path, [0.9, 0.8], keeper, eval_steps=4, save_strategy="steps", save_steps=1
    ).train()
    assert steps(tmp_path) == [8]
    assert [c["eval_loss"] for c in keeper.checkpoints()] == [0.8]


def test_nothing_goes_before_the_new_checkpoint_is_valid(tmp_path: Path) -> None:
    """Watch the folder from another callback: a valid checkpoint is there after every save."""

    class Watch(TrainerCallback):  # type: ignore[misc]  # as above
        seen = 0

        def on_step_begin(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            if state.global_step >= 2:
                self.seen += 1
                assert newest_valid(tmp_path)[0] is not None

    watch = Watch()
    save = {"save_strategy": "steps", "save_steps": 1}
    trainer(tmp_path, [1.0, 0.9, 0.8, 0.7], BestK(1), watch, **save).train()
    assert watch.seen == 6


def test_a_step_that_is_saved_twice_has_its_evaluation_in_the_end(tmp_path: Path) -> None:
    """At the end of an epoch transformers saves into the folder of the last step again."""
    save = {"eval_strategy": "epoch", "save_strategy": "steps", "save_steps": 4}
    trainer(tmp_path, [0.9, 0.8], BestK(2), **save).train()
    assert steps(tmp_path) == [4, 8]
    for step, loss in ((4, 0.9), (8, 0.8)):
        folder = tmp_path / f"checkpoint-{step}"
        assert problems(folder) == []
        history = json.loads((folder / "trainer_state.json").read_text())["log_history"]
        assert finite_eval_losses(history)[step] == loss
        manifest = read_manifest(folder)
        assert manifest is not None
        assert manifest.eval_loss == loss
    assert [p.name for p in tmp_path.glob(".*")] == []


def test_while_a_step_is_saved_again_its_first_checkpoint_is_not_lost(tmp_path: Path) -> None:
    class Killed(TrainerCallback):  # type: ignore[misc]  # as above
        """Dies at the second save, when transformers has written and the manifest has not."""

        saves = 0

        def on_save(self, args: Any, state: Any, control: Any, **kwargs: Any) -> None:
            self.saves += 1
            if self.saves == 2:
                raise KeyboardInterrupt

    save = {"eval_strategy": "epoch", "save_strategy": "steps", "save_steps": 4}
    with pytest.raises(KeyboardInterrupt):
        trainer(tmp_path, [0.9, 0.8], Killed(), BestK(1), **save).train()
    assert newest_valid(tmp_path)[0] is None  # the one without a manifest is in its place
    resumed = trainer(tmp_path, [0.9, 0.8], BestK(1), **save)
    from ftadvise_trainer.saving.checkpoints import clear_unfinished

    clear_unfinished(tmp_path)
    found, skipped = newest_valid(tmp_path)
    assert (found, skipped) == (tmp_path / "checkpoint-4", [])
    resumed.train(resume_from_checkpoint=str(found))
    assert steps(tmp_path) == [8]


def test_a_resumed_run_keeps_the_best_of_both_parts(tmp_path: Path) -> None:
    save = {"save_strategy": "steps", "save_steps": 2}
    trainer(tmp_path, [0.5, 0.9], BestK(1), **save, max_steps=4).train()
    assert steps(tmp_path) == [2, 4]
    resumed = trainer(tmp_path, [0.7, 0.6], BestK(1), **save)
    resumed.train(resume_from_checkpoint=str(tmp_path / "checkpoint-4"))
    assert steps(tmp_path) == [2, 8]


def test_going_on_from_an_earlier_checkpoint_moves_the_later_ones_aside(tmp_path: Path) -> None:
    save = {"save_strategy": "steps", "save_steps": 2}
    trainer(tmp_path, [0.5, 0.4, 0.3, 0.2], BestK(4), **save).train()
    again = trainer(tmp_path, [0.9], BestK(4), **save, max_steps=6)
    again.train(resume_from_checkpoint=str(tmp_path / "checkpoint-4"))
    assert steps(tmp_path) == [2, 4, 6]
    assert sorted(p.name for p in tmp_path.glob("set-aside-*")) == [
        "set-aside-checkpoint-6",
        "set-aside-checkpoint-8",
    ]


def test_an_evaluation_made_up_for_after_a_resume_goes_into_the_manifest(tmp_path: Path) -> None:
    save = {"save_strategy": "steps", "save_steps": 4}
    trainer(tmp_path, [], BestK(1), **save, max_steps=4, eval_strategy="no", eval_steps=4).train()
    resumed = trainer(tmp_path, [0.1, 0.5], BestK(1), **save, eval_steps=4, eval_on_start=True)
    resumed.train(resume_from_checkpoint=str(tmp_path / "checkpoint-4"))
    assert steps(tmp_path) == [4, 8]
    assert problems(tmp_path / "checkpoint-4") == []


def test_an_evaluation_after_the_training_touches_no_checkpoint(tmp_path: Path) -> None:
    made = trainer(tmp_path, [0.9, 0.8, 0.7, 0.6, 0.1], BestK(1))
    made.train()
    made.evaluate()
    assert not made.control.should_save
    assert newest_valid(tmp_path) == (tmp_path / "checkpoint-8", [])


def test_a_full_disk_at_the_manifest_is_a_train_error(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import errno

    from ftadvise_trainer.errors import TrainError
    from ftadvise_trainer.saving import manifest

    def full(*args: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    make_checkpoint(tmp_path, 0)
    monkeypatch.setattr(manifest, "write_atomically", full)
    with pytest.raises(TrainError) as caught:
        trainer(tmp_path, [0.9], BestK(1)).train()
    assert (caught.value.code, caught.value.exit_code) == ("FT504", 3)
    assert newest_valid(tmp_path)[0] == tmp_path / "checkpoint-0"


def test_k_is_at_least_one() -> None:
    with pytest.raises(ValueError, match="at least 1"):
        BestK(0)
