"""Console logs of transformers and the trainers built on it become runs."""

from __future__ import annotations

import math
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from printouts import Logged, console, printed

from ftadvise.errors import LogError
from ftadvise.readers.console_logs.console import console_of
from ftadvise.readers.console_logs.console_readers import READERS
from ftadvise.readers.console_logs.printed import dicts_in, pieces
from ftadvise.readers.source import Source
from ftadvise.readers.wanted import Wanted
from ftadvise.testing import check_reader

if TYPE_CHECKING:
    from collections.abc import Callable

    from ftadvise.run import Run

(READER,) = (reader for reader in READERS if reader.name == "hf_console")
GOOD = Path(__file__).parent / "good" / "hf_console"
QUICK = settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., list[Run]]:
    def read_text(text: str, wanted: Wanted | None = None) -> list[Run]:
        path = tmp_path / "train.log"
        path.write_text(text, encoding="utf-8", newline="")
        return READER.read(Source(path, wanted=wanted or Wanted()))

    return read_text


def lines(*rows: dict[str, Any]) -> str:
    return "".join(f"{row}\n" for row in rows)


def rows(count: int, every: float = 0.1, **more: Any) -> list[dict[str, Any]]:
    """Rows of an older transformers: the epoch is rounded to 0.01."""
    return [
        {"loss": round(3.0 / place, 4), **more, "epoch": round(every * place, 2)}
        for place in range(1, count + 1)
    ]


losses = st.floats(1e-3, 50.0).map(lambda x: float(f"{x:.4g}"))


@st.composite
def trainings(draw: Any) -> Logged:
    per_epoch, epochs = draw(st.integers(2, 30)), draw(st.integers(1, 4))
    total = per_epoch * epochs
    every, each = draw(st.integers(1, max(total // 2, 1))), draw(st.integers(1, total))
    return Logged(
        per_epoch,
        epochs,
        {step: draw(losses) for step in range(every, total + 1, every)},
        {step: draw(losses) for step in range(each, total + 1, each)},
    )


def test_dicts_in_quotes_are_strings_of_source_code_and_no_log(tmp_path: Path) -> None:
    path = tmp_path / "test_parse.py"
    path.write_text("".join(f'    "{row}",\n' for row in rows(6)))
    with pytest.raises(LogError):
        READER.read(Source(path))


@pytest.mark.parametrize("colour", ["", "\x1b[34m"])
@QUICK
@given(logged=trainings())
def test_what_a_trainer_prints_among_its_bars_reads_back_with_every_step(
    read: Any, logged: Logged, colour: str
) -> None:
    pytest.importorskip("transformers")
    (run,) = read(console(logged).replace("{'", colour + "{'"))
    assert run.train.step.tolist() == list(logged.train)
    assert run.train.loss.tolist() == list(logged.train.values())
    assert run.eval.step.tolist() == list(logged.held_out)
    assert run.eval.loss.tolist() == list(logged.held_out.values())
    assert run.planned_steps == logged.total
    assert run.lr.step.tolist() == list(logged.train)


@QUICK
@given(logged=trainings())
def test_what_a_trainer_prints_without_bars_reads_back_by_epoch(read: Any, logged: Logged) -> None:
    pytest.importorskip("transformers")
    (run,) = read(printed(logged))
    epochs = np.array(list(logged.train)) / logged.per_epoch
    assert run.train.loss.tolist() == list(logged.train.values())
    assert np.allclose(run.train.epoch, epochs, rtol=1e-3)
    assert run.eval.loss.tolist() == list(logged.held_out.values())


def test_the_mean_over_the_run_is_no_point(read: Any) -> None:
    end = {"train_runtime": 9.0, "train_samples_per_second": 1.0, "train_loss": 1.5, "epoch": 0.3}
    (run,) = read(lines(*rows(3), end))
    assert run.train.key == "loss"
    assert run.train.loss.tolist() == [3.0, 1.5, 1.0]


def test_steps_follow_from_the_plan_where_all_rows_come_after_the_bars(read: Any) -> None:
    plan = (
        "[INFO|trainer.py:2409] 2025-01-02 03:04:05,678 >> ***** Running training *****\n"
        "[INFO|trainer.py:2410] >>   Num examples = 1,234\n"
        "[INFO|trainer.py:2411] >>   Num Epochs = 3\n"
        "[INFO|trainer.py:2412] >>   Total train batch size (w. parallel, distributed) = 10\n"
        "[INFO|trainer.py:2413] >>   Total optimization steps = 372\n"
    )
    bars = "".join(
        f"\r{n * 100 // 372:3}%|##   | {n}/372 [00:01<00:09,  9.9it/s]" for n in range(373)
    )
    logged = [{"loss": 2.0 - n / 400, "epoch": round(n / 124, 2)} for n in range(31, 373, 31)]
    (run,) = read(plan + bars + "\n" + lines(*logged))
    assert run.train.step.tolist() == [31.0 * n for n in range(1, 13)]
    assert (run.planned_epochs, run.planned_steps) == (3.0, 372.0)
    assert run.settings.num_train_epochs == 3.0


@pytest.mark.parametrize("ahead", [0, 1])
def test_bars_above_the_rows_count_where_those_below_run_ahead(read: Any, ahead: int) -> None:
    def bar(step: int) -> str:
        return f"\r{step // 2:3}%|##   | {step}/200 [00:01<00:09,  9.9it/s]"

    text = "".join(
        bar(n) + f"\n{{'loss': {3.0 - n / 100}, 'epoch': {n / 50}}}\n" + bar(n + ahead)
        for n in range(10, 200, 10)
    )
    (run,) = read(text)
    assert run.train.step.tolist() == list(range(10, 200, 10))


def test_steps_follow_from_epochs_that_count_a_shorter_last_step(read: Any) -> None:
    # 33 batches by fours: 9 steps in an epoch, the last of one batch; logged first at step 1.
    logged = [1, *range(2, 28, 2)]
    batches = {step: (step - 1) // 9 * 33 + min((step - 1) % 9 * 4 + 4, 33) for step in logged}
    plan = "***** Running training *****\n  Num Epochs = 3\n  Total optimization steps = 27\n"
    text = lines(*[{"loss": 2.5, "epoch": round(batches[step] / 33, 4)} for step in logged])
    end = {"train_runtime": 9.0, "epoch": 3.0}
    (run,) = read(plan + text + lines(end))
    assert run.train.step.tolist() == logged


def test_epochs_that_were_limited_by_steps_are_not_taken_from_their_rounded_number(
    read: Any,
) -> None:
    banner = (
        "==((====))==  Unsloth - 2x faster free finetuning | Num GPUs used = 1\n"
        "   \\\\   /|    Num examples = 51,760 | Num Epochs = 1 | Total steps = 60\n"
        "O^O/ \\_/ \\    Batch size per device = 2 | Gradient accumulation steps = 4\n"
        "\\        /    Data Parallel GPUs = 1 | Total batch size (2 x 4 x 1) = 8\n"
    )
    (run,) = read(banner + lines(*[{"loss": 2.0, "epoch": n / 6470} for n in range(1, 61)]))
    assert run.train.step.tolist() == list(range(1, 61))
    assert run.planned_steps == 60
    assert run.planned_epochs == pytest.approx(60 / 6470)


def test_rows_of_one_rounded_epoch_stay_apart(read: Any) -> None:
    logged = [{"loss": 5.0 - n / 100, "epoch": round(n / 1000, 2)} for n in range(1, 101)]
    (run,) = read(lines(*logged))
    assert len(run.train) == 100
    assert (np.diff(run.train.epoch) > 0).all()
    assert np.abs(run.train.epoch - np.arange(1, 101) / 1000).max() <= 0.01
    assert any("rounds the epoch" in note for note in run.notes)


@pytest.mark.parametrize(
    ("prefixes", "apart"),
    [(("[rank0]: ", "[rank1]: "), 0.25), (("0: ", "1: "), 0.25),
     (("(W pid=7) ", "(W pid=8) "), 0.25), (("", ""), 0.0)],
)  # fmt: skip
def test_rows_that_every_process_prints_count_once(
    read: Any, prefixes: tuple[str, str], apart: float
) -> None:
    text = "".join(
        f"{prefix}{row | {'loss': row['loss'] + place * apart}}\n"
        for row in rows(6, grad_norm=1.5)
        for place, prefix in enumerate(prefixes)
    )
    (run,) = read(text)
    assert run.train.loss.tolist() == [row["loss"] for row in rows(6)]
    assert any("another process" in note for note in run.notes)


def test_equal_rows_that_one_process_prints_are_all_kept(read: Any) -> None:
    # Scaled half precision that overflows logs zeros until the scale fits.
    zeros = [{"loss": 0.0, "learning_rate": 0.0, "epoch": 0.0}] * 2
    (run,) = read(lines(*zeros, *rows(8, learning_rate=1e-4)))
    assert len(run.train) == 10


def test_a_row_in_the_words_of_a_second_logger_counts_once(read: Any) -> None:
    text = "".join(
        f"[INFO|2024-05-06 07:08:09] llamafactory.train.callbacks:157 >> {{'loss': {loss:.4f}, "
        f"'learning_rate': 5.0000e-05, 'epoch': {epoch:.2f}}}\n"
        f"{{'loss': {loss}, 'grad_norm': 1.5, 'learning_rate': 5e-05, 'epoch': {epoch}}}\n"
        for loss, epoch in [(2.5, 0.1), (2.25, 0.2), (2.0, 0.3)]
    )
    (run,) = read(text)
    assert run.train.loss.tolist() == [2.5, 2.25, 2.0]
    assert len(run.lr) == 3


@pytest.mark.parametrize(
    "broken",
    [
        "{'loss': 2.5, 'grad_norm': 1.5,\n 'epoch': 0.1}\n{'loss': 2.25, 'epoch': 0.2}\n",
        "{'loss': 2.\n5, 'grad_no\nrm': 1.5, 'epoch': 0.1}\n{'loss': 2.25, 'epoch'\n: 0.2}\n",
        "10:00:01 I {'loss': 2.5, \n10:00:02 I 'epoch': 0.1}\n{'loss': 2.25, 'epoch': 0.2}\n",
        "[rank0]: {'loss': 2.5,\n[rank0]:  'epoch': 0.1}\n{'loss': 2.25, 'epoch': 0.2}\n",
        "x {'loss': 2.5, 'epoch': 0.1}{'loss': 2.25, 'epoch': 0.2} y\n",
    ],
)
def test_a_dict_may_be_broken_over_lines_or_share_one(read: Any, broken: str) -> None:
    (run,) = read(broken)
    assert run.train.loss.tolist() == [2.5, 2.25]
    assert run.train.epoch.tolist() == [0.1, 0.2]


def test_values_that_are_not_finite_are_holes_that_are_counted(read: Any) -> None:
    text = "{'loss': nan, 'grad_norm': inf, 'epoch': 0.1}\n{'loss': '2.5', 'grad_norm': 'nan', 'epoch': '0.2'}\n"
    (run,) = read(text)
    assert math.isnan(run.train.loss[0])
    assert run.train.loss[1] == 2.5
    assert run.nonfinite == {"loss": 1, "grad_norm": 2}


def test_numbers_in_tensors_and_numpy_scalars_are_read() -> None:
    found, _ = dicts_in("{'loss': tensor(0.5, device='cuda:0'), 'eval_loss': np.float64(.25)}")
    assert found == [{"loss": 0.5, "eval_loss": 0.25}]


def test_an_evaluation_after_the_end_replaces_none_before_it(read: Any) -> None:
    end = {"train_runtime": 9.0, "train_samples_per_second": 1.0, "epoch": 0.4}
    best = {"eval_loss": 1.25, "epoch": 0.4}
    evals = [{"eval_loss": 1.25, "epoch": 0.2}, {"eval_loss": 1.5, "epoch": 0.4}]
    (run,) = read(lines(*rows(2), evals[0], *rows(4)[2:], evals[1], end, best))
    assert run.eval.loss.tolist() == [1.25, 1.5]
    assert any("after the end" in note for note in run.notes)


def test_several_trainings_in_a_log_are_several_runs(read: Any) -> None:
    end = {"train_runtime": 9.0, "train_samples_per_second": 1.0, "epoch": 0.3}
    runs = read(lines(*rows(3), end, *rows(5)))
    assert [len(run.train) for run in runs] == [3, 5]
    assert [run.source.run for run in runs] == ["training 1", "training 2"]


def test_a_run_that_was_resumed_is_one_run(read: Any) -> None:
    start = "***** Running training *****\n  Num Epochs = 1\n  Total optimization steps = 100\n"
    resumed = start + "  Continuing training from checkpoint, will skip to saved global_step\n"
    (run,) = read(start + lines(*rows(6)) + resumed + lines(*rows(9)[4:]))
    assert run.train.loss.tolist() == [row["loss"] for row in rows(9)]
    assert run.restarts == 1


def test_bars_of_data_sets_and_evaluations_give_no_steps(read: Any) -> None:
    text = "".join(
        f"Map: 100%|##| {n * 7}/70 [00:01<00:00, 9 examples/s]\n{row}\n"
        for n, row in enumerate(rows(5), 1)
    )
    (run,) = read(text)
    assert np.isnan(run.train.step).all()


def test_blocks_of_metrics_end_a_training(read: Any) -> None:
    blocks = (
        "***** train metrics *****\n  epoch                    =        0.3\n"
        "  train_loss               =     2.1111\n"
        "***** eval metrics *****\n  epoch     =   0.3\n  eval_loss =   1.75\n"
    )
    (run,) = read(lines(*rows(3)) + blocks)
    assert run.train.loss.tolist() == [3.0, 1.5, 1.0]
    assert run.eval.loss.tolist() == [1.75]


def test_the_mean_in_a_block_of_metrics_is_no_point(read: Any) -> None:
    evals = [{"eval_loss": 1.75, "epoch": 1.0}, {"eval_loss": 1.5, "epoch": 2.0}]
    block = "***** train metrics *****\n  epoch      =    2.0\n  train_loss = 2.1111\n"
    (run,) = read(lines(*evals) + block)
    assert len(run.train) == 0
    assert run.eval.loss.tolist() == [1.75, 1.5]


def test_settings_come_from_the_arguments_that_were_printed(read: Any) -> None:
    arguments = (
        "TrainingArguments(\neval_steps=50,\nload_best_model_at_end=True,\n"
        "lr_scheduler_type=SchedulerType.COSINE,\nnum_train_epochs=2.0,\nsave_total_limit=3,\n)\n"
    )
    (run,) = read(arguments + lines(*rows(3)))
    assert run.settings.lr_scheduler_type == "cosine"
    assert run.settings.load_best_model_at_end is True
    assert run.settings.save_total_limit == 3


def test_a_series_that_was_asked_for_is_read_whatever_its_name(read: Any) -> None:
    text = lines(*[{"surprise": 3.0 - n, "epoch": n} for n in range(1, 4)])
    with pytest.raises(LogError):
        read(text)
    (run,) = read(text, Wanted(key="surprise"))
    assert run.train.loss.tolist() == [2.0, 1.0, 0.0]
    with pytest.raises(LogError):
        read(text, Wanted(key="delight"))


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("{'train_runtime': 9.0, 'train_loss': 1.5, 'epoch': 3.0}\n", "final values"),
        ("nothing here\n", "no printed loss"),
        ("expected = {'loss': 0.5}\n", "no printed loss"),
        ("{'loss': 'mse', 'epoch': 3}\n", "no printed loss"),
        ("{'eval_loss': 0.5, 'epoch': 3.0}\n", "no printed loss"),
    ],
)
def test_what_is_no_history_is_refused(read: Any, text: str, words: str) -> None:
    with pytest.raises(LogError, match=words) as caught:
        read(text)
    assert caught.value.code == "FT405"


@pytest.mark.parametrize(
    "text",
    ["{'a': 1," * 3000, "{'a': " * 4000, "{'" + "a" * 40000, "{'a': [" + "1," * 20000,
     "{'\n" * 8000, "{'a':\n" * 6000, "\x1b[" * 10000, "{'a\n}\n" * 6000, "1%|" * 10000,
     "{'a'" + " " * 30000, "5%|" + "1/" * 20000, "=" * 30000, "--eval_steps " * 3000,
     "Num Epochs = " * 3000, "***** eval metrics *****\n" * 1500],
)  # fmt: skip
def test_text_made_to_be_slow_is_read_at_once(text: str) -> None:
    found = console_of([text]).finished()
    assert not found
    assert sum(len(piece.dicts) for piece in pieces(text)) == 0


@pytest.mark.parametrize(
    ("text", "sureness"),
    [("[2024-05-06 07:08:09,123] {'loss': 2.5, 'epoch': 0.1}\n", 0.85),
     ("\r 10%|#   | 1/9 [00:01<00:09]" * 4000 + "\n{'loss': '2.5', 'epoch': '1'}\n", 0.85),
     ("step {'grad_norm': 1.5, 'loss': 2.5}\n", 0.6),
     ('[{"loss": 2.5, "epoch": 1}]', 0.0), ("\0\0{'loss': 2.5}", 0.0), ("a loss\n", 0.0)],
)  # fmt: skip
def test_the_reader_is_as_sure_as_the_text_is_clear(
    tmp_path: Path, text: str, sureness: float
) -> None:
    path = tmp_path / "log"
    path.write_text(text, newline="")
    assert READER.sniff(Source(path)) == sureness


def test_the_reader_keeps_the_contract(tmp_path: Path) -> None:
    bad = tmp_path / "bad.txt"
    bad.write_text("nothing here\n")
    check_reader(READER, sorted(GOOD.iterdir()), [bad])
