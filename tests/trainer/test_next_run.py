"""The runs below one output folder, and whose model is `final`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest

from ftadvise_trainer.auto.next_run import finished, finished_logs, next_folder, publish_best
from ftadvise_trainer.saving.manifest import write_manifest

if TYPE_CHECKING:
    from pathlib import Path

DATA = {"data": {"train": "a.jsonl"}, "data_fingerprint": "abc"}


def made(
    folder: Path,
    eval_loss: float | None,
    stopped: str | None = "planned end",
    data: str = "abc",
    **settings: str,
) -> Path:
    """Make what a run leaves behind: its metrics and, once it has stopped, its final model."""
    folder.mkdir(parents=True, exist_ok=True)
    reason = stopped and {"reason": stopped}
    (folder / "training_metrics.json").write_text(json.dumps({"stopped": reason}))
    if stopped:
        final = folder / "final"
        final.mkdir()
        (final / "config.json").write_text("{}")
        (final / "model.safetensors").write_bytes(str(eval_loss).encode())
        known = {**DATA, "data_fingerprint": data, **settings}
        write_manifest(final, step=10, eval_loss=eval_loss, settings=known)
    return folder


def test_an_empty_folder_is_where_the_first_run_goes(tmp_path: Path) -> None:
    assert next_folder(tmp_path) == tmp_path
    assert finished_logs(tmp_path) == []


def test_a_run_that_has_not_come_to_its_end_is_gone_on_with(tmp_path: Path) -> None:
    made(tmp_path, 2.0, stopped=None)
    assert next_folder(tmp_path) == tmp_path


def test_a_run_without_its_final_model_is_not_finished(tmp_path: Path) -> None:
    made(tmp_path, 2.0)
    (tmp_path / "final" / "MANIFEST.json").unlink()
    assert not finished(tmp_path)


@pytest.mark.parametrize("text", ["", "{", "[]", '{"stopped": null}', "[" * 100_000])
def test_metrics_that_say_nothing_count_as_unfinished(tmp_path: Path, text: str) -> None:
    made(tmp_path, 2.0)
    (tmp_path / "training_metrics.json").write_text(text)
    assert not finished(tmp_path)


def test_later_runs_are_counted_as_numbers_and_strangers_are_left_out(tmp_path: Path) -> None:
    made(tmp_path, 2.0)
    for name in ("run-2", "run-9", "run-10"):
        made(tmp_path / name, 2.0)
    for name in ("run-1", "run-010", "run-x", "run-99 (copy)"):
        (tmp_path / name).mkdir()
    assert next_folder(tmp_path) == tmp_path / "run-11"
    assert [log.parent.name for log in finished_logs(tmp_path)][1:] == ["run-2", "run-9", "run-10"]


def test_a_better_run_becomes_final_and_a_worse_one_does_not(tmp_path: Path) -> None:
    made(tmp_path, 2.0)
    worse = made(tmp_path / "run-2", 2.5)
    final, said = publish_best(worse, tmp_path)
    assert (final / "model.safetensors").read_bytes() == b"2.0"
    assert "stays what it was" in said
    better = made(tmp_path / "run-3", 1.5)
    final, said = publish_best(better, tmp_path)
    assert final == tmp_path / "final"
    assert (final / "model.safetensors").read_bytes() == b"1.5"
    assert (better / "final" / "model.safetensors").read_bytes() == b"1.5"


def test_models_of_other_data_are_not_compared_and_the_newer_one_is_taken(tmp_path: Path) -> None:
    made(tmp_path, 2.0)
    publish_best(made(tmp_path / "run-2", 2.5, data="xyz"), tmp_path)
    assert (tmp_path / "final" / "model.safetensors").read_bytes() == b"2.5"


def test_a_final_model_that_was_damaged_never_takes_the_place_of_a_good_one(
    tmp_path: Path,
) -> None:
    made(tmp_path, 2.0)
    damaged = made(tmp_path / "run-2", 1.0)
    (damaged / "final" / "model.safetensors").write_bytes(b"x")
    with pytest.raises(Exception, match="not a valid checkpoint"):
        publish_best(damaged, tmp_path)
    assert (tmp_path / "final" / "model.safetensors").read_bytes() == b"2.0"


def test_a_run_that_was_killed_before_all_was_done_is_gone_on_with(tmp_path: Path) -> None:
    made(tmp_path, 2.0)
    (tmp_path / "auto.json").write_text('{"closed": false}')
    assert next_folder(tmp_path) == tmp_path
    (tmp_path / "auto.json").write_text('{"closed": true}')
    assert next_folder(tmp_path) == tmp_path / "run-2"


def test_a_run_that_a_signal_ended_beside_an_older_final_model_is_gone_on_with(
    tmp_path: Path,
) -> None:
    made(tmp_path, 2.0)
    reason = {"reason": "preempted (SIGTERM)", "policy": "preemption"}
    (tmp_path / "training_metrics.json").write_text(json.dumps({"stopped": reason}))
    assert next_folder(tmp_path) == tmp_path


def test_a_name_that_is_taken_by_something_else_is_passed_over(tmp_path: Path) -> None:
    made(tmp_path, 2.0)
    (tmp_path / "run-2").write_text("mine")
    (tmp_path / "run-3").symlink_to("nowhere")
    assert next_folder(tmp_path) == tmp_path / "run-4"


def test_models_that_were_evaluated_on_other_examples_are_not_compared(tmp_path: Path) -> None:
    made(tmp_path, 2.0, eval_fingerprint="one")
    _, said = publish_best(made(tmp_path / "run-2", 2.5, eval_fingerprint="two"), tmp_path)
    assert (tmp_path / "final" / "model.safetensors").read_bytes() == b"2.5"
    assert "evaluated on other data" in said


def test_without_an_eval_loss_the_newest_model_is_taken_and_none_is_called_the_best(
    tmp_path: Path,
) -> None:
    made(tmp_path, None)
    run = made(tmp_path / "run-2", None)
    (run / "final" / "model.safetensors").write_bytes(b"newer")
    write_manifest(run / "final", step=10, settings=DATA)
    _, said = publish_best(run, tmp_path)
    assert (tmp_path / "final" / "model.safetensors").read_bytes() == b"newer"
    assert "the last model of this run" in said
    assert "best so far" not in said


def test_what_a_killed_process_left_to_delete_is_deleted_by_the_next(tmp_path: Path) -> None:
    made(tmp_path, 2.0)
    (tmp_path / ".trash-.building-final").mkdir()
    publish_best(made(tmp_path / "run-2", 1.0), tmp_path)
    assert not (tmp_path / ".trash-.building-final").exists()
