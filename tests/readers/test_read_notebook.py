"""Trainings in the outputs of Jupyter notebooks become runs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from printouts import Logged, cell, html, notebook_of, printed, shown, stream

from ftadvise.errors import LogError
from ftadvise.readers.console_logs.console_readers import READERS
from ftadvise.readers.console_logs.hf_table import tables_in
from ftadvise.readers.source import Source
from ftadvise.testing import check_reader

if TYPE_CHECKING:
    from collections.abc import Callable

    from ftadvise.run import Run

(READER,) = (reader for reader in READERS if reader.name == "notebook")
GOOD = Path(__file__).parent / "good" / "notebook"
QUICK = settings(
    max_examples=15, deadline=None, suppress_health_check=[HealthCheck.function_scoped_fixture]
)


@pytest.fixture
def read(tmp_path: Path) -> Callable[..., list[Run]]:
    def read_cells(*cells: dict[str, Any]) -> list[Run]:
        path = tmp_path / "training.ipynb"
        path.write_text(notebook_of(*cells), encoding="utf-8")
        return READER.read(Source(path))

    return read_cells


def table(
    *rows: str, header: str = "Step|Training Loss|Validation Loss", progress: str = ""
) -> str:
    """The HTML of a table, its cells between bars."""

    def cells(row: str, tag: str) -> str:
        return "".join(f"<{tag}>{text}</{tag}>\n" for text in row.split("|"))

    body = "".join(f"<tr>{cells(row, 'td')}</tr>\n" for row in rows)
    above = f"<div><progress value='1'></progress>{progress}</div>" if progress else ""
    return (
        f"{above}<table class='dataframe'><thead><tr>{cells(header, 'th')}</tr></thead>"
        f"<tbody>{body}</tbody></table><p>"
    )


losses = st.floats(1e-3, 50.0).map(lambda x: round(x, 6))


@st.composite
def trainings(draw: Any) -> Logged:
    per_epoch, epochs = draw(st.integers(2, 20)), draw(st.integers(1, 4))
    total = per_epoch * epochs
    every = draw(st.integers(1, max(total // 2, 1)))
    return Logged(
        per_epoch, epochs, {step: draw(losses) for step in range(every, total + 1, every)}
    )


@QUICK
@given(logged=trainings())
def test_the_table_without_evaluations_reads_back(read: Any, logged: Logged) -> None:
    pytest.importorskip("transformers")
    (run,) = read(cell(html(shown(logged, "no"))))
    assert run.train.step.tolist() == list(logged.train)
    assert run.train.loss.tolist() == list(logged.train.values())
    assert np.allclose(run.train.epoch, run.train.step / logged.per_epoch)
    assert (run.planned_epochs, run.planned_steps) == (logged.epochs, logged.total)
    assert run.train.key == "Training Loss"


@QUICK
@given(logged=trainings(), data=st.data())
def test_the_table_with_evaluations_every_few_steps_reads_back(
    read: Any, logged: Logged, data: Any
) -> None:
    pytest.importorskip("transformers")
    each = data.draw(st.integers(1, logged.total))
    steps = range(each, logged.total + 1, each)
    logged.held_out = {step: data.draw(losses) for step in steps}
    (run,) = read(cell(html(shown(logged, "steps"))))
    assert run.eval.step.tolist() == list(steps)
    assert run.eval.loss.tolist() == list(logged.held_out.values())
    # The table shows the latest train loss at each evaluation, "No log" before the first.
    latest = {s: [loss for t, loss in logged.train.items() if t <= s] for s in steps}
    assert run.train.loss.tolist() == [past[-1] for past in latest.values() if past]


@QUICK
@given(logged=trainings(), data=st.data())
def test_the_table_with_an_evaluation_per_epoch_reads_back(
    read: Any, logged: Logged, data: Any
) -> None:
    pytest.importorskip("transformers")
    ends = range(logged.per_epoch, logged.total + 1, logged.per_epoch)
    logged.held_out = {step: data.draw(losses) for step in ends}
    (run,) = read(cell(html(shown(logged, "epoch"))))
    assert run.eval.epoch.tolist() == list(range(1, logged.epochs + 1))
    assert run.eval.loss.tolist() == list(logged.held_out.values())
    assert run.steps_per_epoch == logged.per_epoch


def test_a_cell_without_a_log_is_a_hole(read: Any) -> None:
    (run,) = read(cell(html(table("10|No log|2.5", "20|1.500000|2.25", "30|1.25|2.0"))))
    assert run.train.step.tolist() == [20, 30]
    assert run.eval.step.tolist() == [10, 20, 30]


def test_a_table_that_was_saved_while_it_grew_is_one_run(read: Any) -> None:
    progress = "[20/30 00:10 < 00:05, 2.0 it/s, Epoch 0.63/1]"
    early = table("10|2.0|2.5", progress=progress)
    late = table("10|2.0|2.5", "20|1.5|2.0", "30|1.25|1.75", progress="[30/30 00:15, Epoch 1/1]")
    (run,) = read(cell(html(early), stream("a warning\n"), html(late)))
    assert run.train.loss.tolist() == [2.0, 1.5, 1.25]


def test_tables_of_several_trainings_are_runs_named_by_their_cells(read: Any) -> None:
    first, second = table("10|2.0|2.5", "20|1.5|2.0"), table("10|3.0|3.5", "20|2.5|3.0")
    words: dict[str, Any] = {"cell_type": "markdown", "source": "loss"}
    runs = read(words, cell(html(first), html(second)), cell(html(first)))
    assert [run.source.run for run in runs] == ["cell 2 (1)", "cell 2 (2)", "cell 3"]
    assert [run.train.loss[0] for run in runs] == [2.0, 3.0, 2.0]


def test_a_limit_in_steps_is_not_taken_for_whole_epochs(read: Any) -> None:
    (run,) = read(
        cell(html(table("50|2.0|2.5", "100|1.5|2", progress="[100/100 01:17, Epoch 0/1]")))
    )
    assert run.planned_steps == 100
    assert run.planned_epochs is None
    assert np.isnan(run.train.epoch).all()


def test_the_output_of_train_says_how_long_an_epoch_was(read: Any) -> None:
    shown_table = table("50|2.0|2.5", "100|1.5|2", progress="[100/100 01:17, Epoch 0/1]")
    output = (
        "TrainOutput(global_step=100, training_loss=1.75, metrics={'train_runtime': 9.0, "
        "'train_loss': 1.75, 'epoch': 0.25})"
    )
    (run,) = read(cell(html(shown_table), stream(output)))
    assert run.train.epoch.tolist() == [0.125, 0.25]
    assert run.planned_epochs == 0.25


def test_the_progress_line_of_a_training_under_way_counts_the_step_that_has_begun(
    read: Any,
) -> None:
    (run,) = read(
        cell(
            html(
                table(
                    "1|2.0|2.5",
                    "3|1.5|2",
                    progress="[ 4/30 00:10 < 00:40, 6.1 it/s, Epoch 0.30/3]",
                )
            )
        )
    )
    assert run.train.epoch.tolist() == pytest.approx([0.1, 0.3])


def test_a_run_that_was_stopped_still_tells_its_plan(read: Any) -> None:
    progress = "[ 61/300 00:10 < 00:40, 6.1 it/s, Epoch 0.60/3]"
    (run,) = read(cell(html(table("30|2.0|2.5", "60|1.5|2", progress=progress))))
    assert run.planned_epochs == 3
    assert run.train.epoch.tolist() == [0.3, 0.6]


def test_a_printed_history_of_the_same_training_is_richer_than_its_table(read: Any) -> None:
    logged = [
        {"loss": 3.0 - n / 10, "learning_rate": 1e-4, "epoch": n / 6, "step": 10 * n}
        for n in range(1, 7)
    ]
    logged.insert(3, {"eval_loss": 2.75, "epoch": 0.5, "step": 30})
    text = "".join(f"{row}\n" for row in logged)
    short = table("30|2.7|2.75", "60|2.4|2.5", progress="[60/60 01:17, Epoch 1/1]")
    (run,) = read(cell(html(short), stream(text)))
    assert run.train.step.tolist() == [10, 20, 30, 40, 50, 60]
    assert (run.planned_epochs, run.planned_steps) == (1, 60)
    assert len(run.lr) == 6


def test_an_evaluation_printed_below_a_table_is_no_point(read: Any) -> None:
    only_train = table("30|2.7", "60|2.4", header="Step|Training Loss")
    rows = "{'eval_loss': 2.5, 'epoch': 1.0}\n{'eval_loss': 2.25, 'epoch': 2.0}\n"
    (run,) = read(cell(html(only_train), stream(rows)))
    assert len(run.eval) == 0


def test_printed_dicts_read_like_a_console(read: Any) -> None:
    pytest.importorskip("transformers")
    logged = Logged(4, 3, {step: 3.0 / step for step in range(2, 13, 2)}, {4: 1.5, 8: 1.25})
    (run,) = read(cell(*(stream(line) for line in printed(logged).splitlines(True))))
    assert len(run.train) == 6
    assert run.eval.loss.tolist() == [1.5, 1.25]


def test_bars_of_keras_are_read(read: Any) -> None:
    bars = [stream("Epoch 1/2\n"), stream("9/9 [==] - ETA: 0s - loss: 2.0000"),
            stream("\b\b\b9/9 [==] - 3s 9ms/step - loss: 2.0000 - val_loss: 2.5000\n"),
            stream("Epoch 2/2\n9/9 [==] - 3s 9ms/step - loss: 1.0000 - val_loss: 1.5000\n")]  # fmt: skip
    (run,) = read(cell(*bars, source="model.fit(x)"))
    assert run.train.loss.tolist() == [2.0, 1.0]
    assert run.eval.loss.tolist() == [2.5, 1.5]
    assert run.planned_epochs == 2


def test_losses_in_free_prints_are_read_where_no_trainer_shows_any(read: Any) -> None:
    text = "".join(
        f"Epoch {n}/3: train loss {3.0 / n:.4f}, val loss {3.5 / n:.4f}\n" for n in (1, 2, 3)
    )
    (run,) = read(cell(stream("a loss\n")), cell(stream(text)))
    assert run.train.loss.tolist() == [3.0, 1.5, 1.0]
    assert run.eval.loss.tolist() == [3.5, 1.75, 1.1667]
    (run,) = read(cell(stream(text)), cell(html(table("10|2.0|2.5", "20|1.5|2.0"))))
    assert run.train.key == "Training Loss"


def test_tables_of_fastai_are_read(read: Any) -> None:
    header = "epoch|train_loss|valid_loss|accuracy|time"
    (run,) = read(cell(html(table("0|2.0|2.5|0.5|00:12", "1|1.0|1.5|0.75|00:11", header=header))))
    assert run.train.loss.tolist() == [2.0, 1.0]
    assert run.eval.key == "valid_loss"


def test_a_data_frame_counts_only_where_no_trainer_shows_a_table(read: Any) -> None:
    frame = table("0|1|9.0", "1|2|8.0", header="|epoch|train_loss")
    (run,) = read(cell(html(frame)))
    assert run.train.loss.tolist() == [9.0, 8.0]
    (run,) = read(cell(html(frame)), cell(html(table("10|2.0|2.5", "20|1.5|2.0"))))
    assert run.train.loss.tolist() == [2.0, 1.5]


def test_a_history_that_is_shown_as_a_data_frame_has_holes(read: Any) -> None:
    header = "|loss|epoch|step|eval_loss|train_runtime|train_loss"
    rows = ("0|2.5|0.5|10|NaN|NaN|NaN", "1|NaN|0.5|10|2.75|NaN|NaN", "2|2.0|1.0|20|NaN|NaN|NaN",
            "3|NaN|1.0|20|2.25|NaN|NaN", "4|NaN|1.0|20|NaN|9.5|2.25")  # fmt: skip
    (run,) = read(cell(html(table(*rows, header=header))))
    assert run.train.loss.tolist() == [2.5, 2.0]
    assert run.eval.loss.tolist() == [2.75, 2.25]
    assert run.nonfinite == {}


def test_settings_come_from_the_code_above_the_output(read: Any) -> None:
    code = "args = TrainingArguments(\n  lr_scheduler_type='cosine', save_total_limit=2,\n)"
    (run,) = read(cell(source=code), cell(html(table("10|2.0|2.5", "20|1.5|2.0"))))
    assert run.settings.lr_scheduler_type == "cosine"
    assert run.settings.save_total_limit == 2
    assert run.settings.eval_steps == 10


def test_notebooks_of_version_3_are_read(tmp_path: Path) -> None:
    output = {"output_type": "display_data", "html": [table("10|2.0|2.5", "20|1.5|2.0")]}
    sheet = {"cells": [{"cell_type": "code", "input": ["x"], "outputs": [output]}]}
    path = tmp_path / "old.ipynb"
    path.write_text(json.dumps({"metadata": {}, "nbformat": 3, "worksheets": [sheet]}))
    (run,) = READER.read(Source(path))
    assert run.train.loss.tolist() == [2.0, 1.5]


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ('{"cells": [', "FT404"),
        ('{"cells": []}', "FT405"),
        ('{"cells": 3, "nbformat": 4}', "FT405"),
        ('{"cells": [{"outputs": [{"text": 3}, 4, {"data": []}], "source": 1}, 2]}', "FT405"),
        ('{"cells": ' + "[" * 100000, "FT404"),
        ('{"cells": [' + "9" * 5000 + "]}", "FT404"),
        (notebook_of(cell(html(table()))), "FT405"),
        (notebook_of(cell(stream("a loss of appetite\n"))), "FT405"),
    ],
)
def test_what_is_no_history_is_refused(tmp_path: Path, text: str, code: str) -> None:
    path = tmp_path / "training.ipynb"
    path.write_text(text)
    with pytest.raises(LogError) as caught:
        READER.read(Source(path))
    assert caught.value.code == code


@pytest.mark.parametrize(
    "page",
    ["<table>" * 5000, "<td>" * 9000, "<table><tr>" + "<td>" * 9000, "<" * 30000, "&" * 30000,
     "<table><tr><th>" + "loss" * 9000, "<!--" * 9000, "<table>[1/1 " * 3000, "</tr>" * 9000,
     "<script>" * 5000, "<![CDATA[" * 5000, "<a b=" * 9000, "<?" * 9000]
)  # fmt: skip
def test_html_made_to_be_slow_is_read_at_once(page: str) -> None:
    assert not any(table.rows and table.header for table in tables_in(page))


def test_the_reader_keeps_the_contract(tmp_path: Path) -> None:
    bad = tmp_path / "bad.txt"
    bad.write_text("nothing here\n")
    check_reader(READER, sorted(GOOD.iterdir()), [bad])
