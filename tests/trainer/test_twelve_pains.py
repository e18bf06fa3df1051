"""The twelve pains that people report most of other trainers, and the tests that show ours lacks.

The ranks are those of the notes that the project was planned with: how often it is reported, times
the damage. What stands below in this file trains the tiny example, and most of it shows as well
that `transformers.Trainer` as people use it falls into the hole.

rank | pain                                             | test that shows it
-----+--------------------------------------------------+-----------------------------------
1    | the model never stops                            | test_a_model_that_pads_with_its_end_learns_to_stop_and_generate_stops
1    | ... padding is taken for the end                 | test_padding_that_is_the_end_is_replaced
1    | ... the wrong end for the template               | test_generation_stops_at_the_end_of_turn_and_at_the_other_ends
2    | cut silently until nothing is trained            | test_a_run_whose_answers_are_all_cut_away_makes_no_step
2    | ... in part                                      | test_a_long_example_is_cut_and_counted_and_one_without_answer_dropped
3    | an assistant mask of zeros                       | test_a_template_without_marks_trains_its_answers_all_the_same
3    | ... in any family                                | test_a_template_without_marks_gives_the_same_mask_turn_by_turn
4    | a loss that changes with accumulation            | test_the_cut_into_micro_batches_changes_nothing
4    | ... what transformers does                       | test_transformers_alone_weighs_tokens_by_micro_batch_in_such_models
5    | an eval loss that changes with its batch size    | test_the_eval_loss_is_the_same_at_every_eval_batch_size
5    | ... what transformers does                       | test_the_eval_loss_of_transformers_alone_depends_on_the_batch_size
6    | the best checkpoint is deleted                   | test_the_best_and_the_newest_are_kept_and_transformers_would_lose_the_best
7    | a resume is another run                          | test_a_run_killed_at_a_step_ends_with_the_same_weights_and_losses
7    | ... its patience begins anew                     | test_a_resumed_run_has_the_patience_that_was_left
7    | ... changed settings are ignored                 | test_a_changed_learning_rate_is_refused_and_not_ignored
8    | a crash while saving ends all resumes            | test_a_save_that_was_cut_off_is_passed_over_by_the_next_start
8    | ... at any system call                           | test_a_kill_at_any_call_that_changes_the_disk_costs_one_save_at_most
9    | an evaluation that runs out of memory            | test_an_evaluation_widens_one_row_of_logits_at_a_time
9    | ... logits are kept                              | test_no_logits_are_kept_from_one_batch_to_the_next
10   | a collective times out while rank 0 tokenises    | test_two_processes_tokenise_before_they_meet_and_end_together
11   | several processes hang at a save, eval or stop   | test_two_processes_tokenise_before_they_meet_and_end_together
11   | ... when one of them is to stop                  | test_a_signal_to_one_rank_stops_all_of_them_at_the_same_step
11   | ... when one of them breaks its evaluation off   | test_one_interrupted_process_breaks_the_evaluation_off_for_all
11   | ... when one of them fails                       | test_a_loss_that_is_infinite_on_one_process_stops_all_with_one_message
12   | nobody notices a loss of NaN                     | test_it_is_seen_at_the_step_it_happens_and_the_weights_stay_those_before
12   | ... where it comes from                          | test_the_micro_batch_and_its_rows_are_named
12   | ... what transformers does                       | test_without_the_guard_the_run_finishes_with_nothing_but_nan
"""

from __future__ import annotations

import io
import json
import re
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from made_ranks import run_ranks
from tiny_models import arguments, pad, ragged_dataset, tiny_model
from torch.utils._python_dispatch import TorchDispatchMode
from transformers import (
    AutoModelForCausalLM,
    AutoTokenizer,
    DataCollatorForLanguageModeling,
    EarlyStoppingCallback,
    Trainer,
)

from ftadvise.families import ModelFamily
from ftadvise_trainer.callbacks.best_k import BestK
from ftadvise_trainer.callbacks.early_stop import EarlyStop
from ftadvise_trainer.config import Config
from ftadvise_trainer.data.prepare import prepare
from ftadvise_trainer.errors import TrainError
from ftadvise_trainer.finetuner import FineTuner
from ftadvise_trainer.saving.checkpoints import newest_valid
from ftadvise_trainer.settings.file import load_config
from ftadvise_trainer.starting import choose_start
from ftadvise_trainer.training import train

ROOT = Path(__file__).parents[2]
TINY = ROOT / "examples" / "tiny"
AUTO_MODEL: Any = AutoModelForCausalLM
AUTO_TOKENIZER: Any = AutoTokenizer
ROWS = re.compile(r"^(\d*) *\|.*\| (test_\w+)$", re.MULTILINE)


def messages(question: str, answer: str) -> dict[str, Any]:
    turns = (("user", question), ("assistant", answer))
    return {"messages": [{"role": role, "content": content} for role, content in turns]}


def config_of(folder: Path, rows: list[Any], **training: Any) -> Config:
    """Return the tiny example with other data, its last row held out, and other settings."""
    for name, part in (("train", rows[:-1]), ("eval", rows[-1:])):
        (folder / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in part))
    if not (folder / "model").exists():
        shutil.copytree(TINY / "model", folder / "model")
    shutil.copy(TINY / "training.yaml", folder)
    loaded = load_config(folder / "training.yaml", [f"training.output_dir={folder / 'out'}"])
    return replace(loaded, training=replace(loaded.training, **training))


def test_every_rank_has_a_test_and_every_test_of_the_table_exists() -> None:
    table = ROWS.findall(__doc__ or "")
    assert {int(rank) for rank, _ in table} == set(range(1, 13))
    code = "".join(path.read_text() for path in Path(__file__).parent.glob("test_*.py"))
    missing = [name for _, name in table if not re.search(rf"^def {name}\(", code, re.MULTILINE)]
    assert missing == []
    own = re.findall(r"^def (test_\w+)", Path(__file__).read_text(), re.MULTILINE)
    assert {name for _, name in table} >= set(own[1:])


# 1 ------------------------------------------------------------------------------------------------


def test_a_model_that_pads_with_its_end_learns_to_stop_and_generate_stops(tmp_path: Path) -> None:
    rows = [messages(f"What is {n}?", "A number.") for n in range(49)]
    config = config_of(tmp_path, rows)
    described = tmp_path / "model" / "tokenizer_config.json"
    settings = json.loads(described.read_text())
    end = settings["eos_token"]
    described.write_text(json.dumps(settings | {"pad_token": end}))
    config = config_of(tmp_path, rows, num_train_epochs=4.0, learning_rate=5e-3)

    theirs = AUTO_TOKENIZER.from_pretrained(tmp_path / "model")
    assert theirs.pad_token == theirs.eos_token == end
    row = {"input_ids": theirs(f"A number.{end}").input_ids}
    plain: Any = DataCollatorForLanguageModeling(theirs, mlm=False)([row])
    assert theirs.eos_token_id not in plain["labels"]  # the plain way trains no end

    final = train(config, stream=io.StringIO()).final
    tokenizer = AUTO_TOKENIZER.from_pretrained(final)
    assert tokenizer.pad_token != tokenizer.eos_token
    model = AUTO_MODEL.from_pretrained(final)
    ends = tokenizer.convert_tokens_to_ids([tokenizer.eos_token, "<|endoftext|>"])
    assert model.generation_config.eos_token_id == ends  # and transformers knows of the first
    asked = tokenizer.apply_chat_template(
        rows[-1]["messages"][:1], add_generation_prompt=True, return_tensors="pt", return_dict=True
    )
    with torch.no_grad():
        said = model.generate(**asked, max_new_tokens=40, do_sample=False)
    answer = tokenizer.decode(said[0, asked["input_ids"].shape[1] :])
    assert answer == f"A number.{tokenizer.eos_token}"


# 2 ------------------------------------------------------------------------------------------------


def test_a_run_whose_answers_are_all_cut_away_makes_no_step(tmp_path: Path) -> None:
    config = config_of(tmp_path, [messages("long " * 200 + str(n), "a") for n in range(9)])
    with pytest.raises(TrainError) as caught:
        train(config, stream=io.StringIO())
    assert caught.value.code == "FT503"
    assert "8: its answer lies beyond max_length" in caught.value.message
    assert list((tmp_path / "out").glob("checkpoint-*")) == []

    data = ragged_dataset(8)
    for row in data.rows:
        row["labels"] = [-100] * len(row["labels"])
    plain: Any = Trainer(
        tiny_model(),
        arguments(tmp_path, num_train_epochs=1, logging_nan_inf_filter=True),  # their default
        data_collator=pad,
        train_dataset=data,
    )
    plain.train()  # goes to its end, and has trained nothing
    assert {row["loss"] for row in plain.state.log_history if "loss" in row} == {0.0}


# 3 ------------------------------------------------------------------------------------------------


def test_a_template_without_marks_trains_its_answers_all_the_same(tmp_path: Path) -> None:
    rows = [messages(f"q{n}", f"answer {n}") for n in range(4)]
    config = config_of(tmp_path, rows)
    tokenizer = AUTO_TOKENIZER.from_pretrained(tmp_path / "model")
    end = tokenizer.eos_token
    tokenizer.chat_template = (
        "{% for m in messages %}{{ m['role'] + ':\n' + m['content'] + '" + end + "' }}{% endfor %}"
        "{% if add_generation_prompt %}{{ 'assistant:\n' }}{% endif %}"
    )
    theirs: Any = tokenizer.apply_chat_template(
        rows[0]["messages"], return_dict=True, return_assistant_tokens_mask=True
    )
    assert set(theirs["assistant_masks"]) == {0}

    made = prepare(config, tokenizer, ModelFamily("none of its own"))
    trained = [
        tokenizer.decode([label for label in made.train[n]["labels"] if label >= 0])
        for n in range(3)
    ]
    assert trained == [f"answer {n}{end}" for n in range(3)]


# 7 ------------------------------------------------------------------------------------------------


def evaluations_in_two_parts(kind: type[Trainer], folder: Path, stop: Any, again: Any) -> int:
    """Train for two evaluations without a gain, and resume; return how many there were in all."""
    save = {"save_strategy": "epoch", "eval_strategy": "epoch", "metric_for_best_model": "loss"}
    for callback, resume, more in ((stop, None, {"max_steps": 6}), (again, "checkpoint-6", {})):
        trainer: Any = kind(
            tiny_model(),
            arguments(folder, num_train_epochs=12, **save, **more, learning_rate=1e-9),
            data_collator=pad,
            train_dataset=ragged_dataset(16),
            eval_dataset=ragged_dataset(5, seed=1),
            callbacks=[callback],
        )
        trainer.train(resume_from_checkpoint=str(folder / resume) if resume else None)
    return sum("eval_loss" in row for row in trainer.state.log_history)


def test_a_resumed_run_has_the_patience_that_was_left(tmp_path: Path) -> None:
    ours = [EarlyStop(4, threshold=10.0) for _ in range(2)]
    theirs = [EarlyStoppingCallback(4, 10.0) for _ in range(2)]
    assert evaluations_in_two_parts(FineTuner, tmp_path / "ours", *ours) == 5
    assert evaluations_in_two_parts(Trainer, tmp_path / "plain", *theirs) > 5


def rates(folder: Path) -> list[float]:
    history = json.loads((folder / "trainer_state.json").read_text())["log_history"]
    return [row["learning_rate"] for row in history if "learning_rate" in row]


def test_a_changed_learning_rate_is_refused_and_not_ignored(tmp_path: Path) -> None:
    settings = {"training": {"learning_rate": 1e-2}}
    save = {"save_strategy": "epoch", "lr_scheduler_type": "constant"}
    for folder, epochs, rate, resume in ((tmp_path, 1, 1e-2, None), (tmp_path, 2, 5e-2, True)):
        trainer: Any = Trainer(
            tiny_model(),
            arguments(folder, num_train_epochs=epochs, learning_rate=rate, **save),
            data_collator=pad,
            train_dataset=ragged_dataset(16),
            callbacks=[BestK(1, settings=settings)],
        )
        if resume:
            with pytest.raises(TrainError, match="learning_rate"):
                choose_start(folder, {"training": {"learning_rate": rate}}, True, False)
        trainer.train(resume_from_checkpoint=resume)
    assert set(rates(tmp_path / "checkpoint-4")) == {1e-2}  # transformers: not a word


# 8 ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("lost", ["trainer_state.json", "model.safetensors"])
def test_a_save_that_was_cut_off_is_passed_over_by_the_next_start(
    tmp_path: Path, lost: str
) -> None:
    def trainer(epochs: int) -> Any:
        return FineTuner(
            tiny_model(),
            arguments(tmp_path, num_train_epochs=epochs, save_strategy="epoch"),
            data_collator=pad,
            train_dataset=ragged_dataset(8),
            callbacks=[BestK(3)],
        )

    first = trainer(1)
    first.train()
    cut_off = shutil.copytree(tmp_path / "checkpoint-1", tmp_path / "checkpoint-2")
    (cut_off / "MANIFEST.json").unlink()  # the power went before the end of the save
    (cut_off / lost).unlink()
    with pytest.raises((OSError, ValueError, AttributeError)):
        trainer(2).train(resume_from_checkpoint=True)  # transformers takes what has the name

    assert newest_valid(tmp_path)[0] == tmp_path / "checkpoint-1"
    start = choose_start(tmp_path, {}, True, False)
    assert start.checkpoint == tmp_path / "checkpoint-1"
    assert any("passed over checkpoint-2" in line for line in start.lines)
    resumed = trainer(2)
    resumed.train(resume_from_checkpoint=str(start.checkpoint))
    assert newest_valid(tmp_path)[0] == tmp_path / "checkpoint-2"


# 9 ------------------------------------------------------------------------------------------------


class LargestFloat32(TorchDispatchMode):  # type: ignore[no-untyped-call]  # torch is typed in part
    """Notes the size of the largest float32 tensor that any operation makes."""

    found = 0

    def __torch_dispatch__(
        self, func: Any, types: Any, args: Any = (), kwargs: dict[str, Any] | None = None
    ) -> Any:
        made = func(*args, **(kwargs or {}))
        for tensor in made if isinstance(made, tuple | list) else (made,):
            if isinstance(tensor, torch.Tensor) and tensor.dtype == torch.float32:
                self.found = max(self.found, tensor.numel())
        return made


def test_an_evaluation_widens_one_row_of_logits_at_a_time(tmp_path: Path) -> None:
    data = ragged_dataset(8)
    longest = max(len(row["input_ids"]) for row in data)
    found: dict[type[Trainer], int] = {}
    for kind in (FineTuner, Trainer):
        model: Any = tiny_model(vocab=1024)
        args = arguments(tmp_path, per_device_eval_batch_size=8)
        trainer: Any = kind(model.bfloat16(), args, data_collator=pad, eval_dataset=data)
        watch: Any = LargestFloat32()  # type: ignore[no-untyped-call]  # as above
        with watch:
            trainer.evaluate()
        found[kind] = watch.found
    assert found[FineTuner] <= longest * 1024
    assert found[Trainer] >= 8 * (longest - 1) * 1024


# 10 and 11 ----------------------------------------------------------------------------------------

RANK = """
import io, json, os, sys
from pathlib import Path
import torch
from ftadvise_trainer import training
from ftadvise_trainer.settings.file import load_config

folder, before = Path(sys.argv[1]), training.prepare
seen = {}

def prepare(*arguments, **how):
    made = before(*arguments, **how)
    # With a process group there could be a collective that the others wait in.
    seen["met"] = torch.distributed.is_initialized()
    seen["rows"], seen["fingerprint"] = len(made.train), made.train.fingerprint
    return made

training.prepare = prepare
told = [f"training.output_dir={folder / 'out'}", "training.num_train_epochs=6",
        "training.early_stopping_patience=1", "training.early_stopping_threshold=100.0"]
outcome = training.train(load_config(folder / "training.yaml", told), stream=io.StringIO())
seen["stopped"] = outcome.stopped
seen["together"] = torch.distributed.get_world_size()
(folder / f"rank{os.environ['RANK']}.json").write_text(json.dumps(seen))
torch.distributed.destroy_process_group()
"""


def test_two_processes_tokenise_before_they_meet_and_end_together(tmp_path: Path) -> None:
    config_of(tmp_path, [messages(f"What is {n}?", f"Number {n}.") for n in range(17)])
    script = tmp_path / "rank.py"
    script.write_text(RANK)
    run_ranks(script, tmp_path)  # a hang fails here
    first, second = (json.loads((tmp_path / f"rank{n}.json").read_text()) for n in range(2))
    assert first == second
    assert (first["met"], first["rows"], first["together"]) == (False, 16, 2)
    assert first["stopped"]["epoch"] == 2.0
    found, skipped = newest_valid(tmp_path / "out")
    assert found is not None
    assert skipped == []
    assert (tmp_path / "out" / "final" / "model.safetensors").is_file()
