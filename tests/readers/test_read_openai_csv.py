"""Result files of OpenAI fine-tuning jobs, as a table and in base64."""

from __future__ import annotations

import base64
from pathlib import Path

import pytest

from ftadvise.errors import LogError
from ftadvise.readers import read
from ftadvise.readers.source import Source
from ftadvise.readers.table_logs import openai_csv
from ftadvise.testing import check_reader

GOOD = Path(__file__).parent / "good" / "openai_csv"
HEADER = "step,train_loss,train_accuracy,valid_loss,valid_mean_token_accuracy"


def written(folder: Path, text: str | bytes) -> Path:
    path = folder / "step_metrics.csv"
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def test_losses_lie_at_their_steps(tmp_path: Path) -> None:
    run = read(written(tmp_path, f"{HEADER}\n1,3,0,,\n2,2,0,2.5,0\n3,1,0,,\n"))
    assert run.source.format == "openai_csv"
    assert (run.train.key, run.train.step.tolist()) == ("train_loss", [1, 2, 3])
    assert (run.eval.key, run.eval.step.tolist()) == ("valid_loss", [2])


def test_a_job_without_validation_data_has_empty_columns_and_says_so(tmp_path: Path) -> None:
    run = read(written(tmp_path, f"{HEADER}\n1,3,0,,\n2,2,0,,\n"))
    assert len(run.eval) == 0
    assert "There is no number in the column valid_loss." in run.notes


@pytest.mark.parametrize(("epochs", "key"), [(2, "valid_loss"), (3, "full_valid_loss")])
def test_the_loss_on_all_validation_data_is_taken_where_it_stands_often_enough(
    tmp_path: Path, epochs: int, key: str
) -> None:
    rows = [
        f"{s},{9 / s},0,{10 / s if s % 2 == 0 else ''},0,{11 / s if s % 4 == 0 else ''}"
        for s in range(1, 4 * epochs + 1)
    ]
    run = read(written(tmp_path, "\n".join([f"{HEADER},full_valid_loss", *rows, ""])))
    assert run.eval.key == key
    assert run.train.epoch.tolist() == [s / 4 for s in range(1, 4 * epochs + 1)]
    assert run.steps_per_epoch == 4


def test_minus_one_in_older_files_is_no_loss(tmp_path: Path) -> None:
    header = "step,elapsed_tokens,elapsed_examples,training_loss,training_token_accuracy,validation_loss"
    run = read(written(tmp_path, f"{header}\n1,64,4,3,0,-1\n2,128,8,2,0,2.5\n3,192,12,1,0,-1\n"))
    assert (run.train.key, run.train.loss.tolist()) == ("training_loss", [3, 2, 1])
    assert (run.eval.step.tolist(), run.eval.loss.tolist()) == ([2], [2.5])
    assert any("-1 in validation_loss" in note for note in run.notes)


@pytest.mark.parametrize("wrapped", ["{}", "{}\n", "b'{}'", '"{}"'])
def test_base64_reads_like_the_table_in_it(tmp_path: Path, wrapped: str) -> None:
    table = f"{HEADER}\n" + "".join(f"{s},{3 / s},0.5,{4 / s},0.5\n" for s in range(1, 1500))
    plain = read(written(tmp_path, table))
    encoded = base64.b64encode(table.encode()).decode()
    run = read(written(tmp_path, wrapped.format(encoded)))
    assert run.source.format == "openai_csv"
    assert run.train.loss.tolist() == plain.train.loss.tolist()
    assert run.eval.step.tolist() == plain.eval.step.tolist()


def test_base64_in_lines_and_cut_off_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    table = f"{HEADER}\n" + "".join(f"{s},{3 / s:.5f},0.5,,\n" for s in range(1, 300))
    lines = base64.encodebytes(table.encode())
    run = read(written(tmp_path, lines[: len(lines) // 2]))
    assert 100 < len(run.train) < 200
    assert run.train.step.tolist() == list(range(1, len(run.train) + 1))


def test_base64_beyond_the_limit_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = written(tmp_path, base64.b64encode(f"{HEADER}\n1,3,0,,\n".encode()))
    monkeypatch.setattr(openai_csv, "MAX_ENCODED", 10)
    with pytest.raises(LogError) as caught:
        openai_csv.read(Source(path))
    assert caught.value.code == "FT407"


def test_the_reader_keeps_the_contract_of_readers(tmp_path: Path) -> None:
    bad = written(tmp_path, "c3RlcCxub3RoaW5n")
    check_reader(openai_csv.READER, sorted(GOOD.iterdir()), [bad])
