"""Loss histories in tables: every way to write one, and what is no history of losses."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ftadvise.errors import LogError
from ftadvise.readers import read, read_all
from ftadvise.readers.source import Source
from ftadvise.readers.table_logs import csv_table, frame, frame_filling
from ftadvise.testing import check_reader

if TYPE_CHECKING:
    from ftadvise.run import Run

GOOD = Path(__file__).parent / "good" / "csv"


def read_text(folder: Path, text: str | bytes, name: str = "log.csv") -> Run:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return read(path)


def refusal(folder: Path, text: str, name: str = "log.csv") -> LogError:
    with pytest.raises(LogError) as caught:
        read_text(folder, text, name)
    return caught.value


def losses(run: Run) -> tuple[list[float], list[float]]:
    return run.train.loss.tolist(), run.eval.loss.tolist()


@pytest.mark.parametrize(
    "text",
    [
        "epoch,train_loss,val_loss\n1,0.5,0.75\n2,0.25,0.625\n",
        "epoch,train_loss,val_loss\r\n1,0.5,0.75\r\n2,0.25,0.625\r\n",
        "epoch,train_loss,val_loss\r1,0.5,0.75\r2,0.25,0.625\r",
        "epoch,train_loss,val_loss\n1,0.5,0.75\n2,0.25,0.625",
        '"epoch","train_loss","val_loss"\n"1","0.5","0.75"\n"2","0.25","0.625"\n',
        "epoch, train_loss , val_loss\n1, 0.5, 0.75\n2, 0.25, 0.625\n",
        "epoch;train_loss;val_loss\n1;0,5;0,75\n2;0,25;0,625\n",
        "epoch;train_loss;val_loss\n1;0.5;0.75\n2;0.25;0.625\n",
        "sep=;\nepoch;train_loss;val_loss\n1;0,5;0,75\n2;0,25;0,625\n",
        "epoch\ttrain_loss\tval_loss\n1\t0.5\t0.75\n2\t0.25\t0.625\n",
        "epoch|train_loss|val_loss\n1|0.5|0.75\n2|0.25|0.625\n",
        "| Epoch | Train Loss | Val Loss |\n|---|:---:|--:|\n| 1 | 0.5 | 0.75 |\n| 2 | 0.25 | 0.625 |\n",
        "+---+\n| epoch | train_loss | val_loss |\n+---+\n| 1 | 0.5 | 0.75 |\n| 2 | 0.25 | 0.625 |\n+---+\n",
        "   epoch  train_loss  val_loss\n0      1        0.50     0.750\n1      2        0.25     0.625\n",
        "epoch   train loss   val loss\n    1          0.5       0.75\n    2         0.25      0.625\n",
        "# epoch train_loss val_loss\n1.0e+00 5.0e-01 7.5e-01\n2.0e+00 2.5e-01 6.25e-01\n",
        "# seed: 3\nepoch,train_loss,val_loss\n# begin\n1,0.5,0.75\n\n2,0.25,0.625\n",
        "My first run\n\nepoch,train_loss,val_loss\n1,0.5,0.75\n2,0.25,0.625\n",
        ",train_loss,val_loss,acc\n0,0.5,0.75,a\n1,0.25,0.625,b\n",
        "epoch,text,train_loss,val_loss\n1,\"so, it\nbegins\",0.5,0.75\n2,,0.25,0.625\n",
        "epoch,train_loss,val_loss\n1,0.5,NA\n1,,0.75\n2,0.25,-\n2,None,0.625\n",
    ],
)  # fmt: skip
def test_a_table_is_read_however_it_is_written(tmp_path: Path, text: str) -> None:
    path = tmp_path / "log.csv"
    path.write_bytes(text.encode())
    source = Source(path)
    assert csv_table.sniff(source) == (0.1 if "\n|" in text else 0.6)
    (run,) = csv_table.read(source)
    assert losses(run) == ([0.5, 0.25], [0.75, 0.625])
    assert run.train.epoch.tolist() == run.eval.epoch.tolist() == [1, 2]


@pytest.mark.parametrize("encoding", ["utf-8-sig", "utf-16"])
def test_marks_of_encodings_are_no_part_of_a_name(tmp_path: Path, encoding: str) -> None:
    text = "step,loss\n10,2\n20,1\n".encode(encoding)
    assert read_text(tmp_path, text).train.step.tolist() == [10, 20]


def test_empty_cells_are_holes_of_their_column_alone(tmp_path: Path) -> None:
    run = read_text(tmp_path, "step,loss,eval_loss,lr\n5,3,,0.1\n10,2,2.5,\n15,1,,0.05\n20,,1.5\n")
    assert run.train.step.tolist() == [5, 10, 15]
    assert run.eval.step.tolist() == [10, 20]
    assert run.lr.rate.tolist() == [0.1, 0.05]


def test_numbers_grouped_by_thousands_are_numbers(tmp_path: Path) -> None:
    run = read_text(tmp_path, 'step,loss\n"1,000",2.5\n"2,000",1.5\n')
    assert run.train.step.tolist() == [1000, 2000]


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ('step,loss\n"1,000","0,531"\n"2,000","0,5"\n', [0.531, 0.5]),
        ("epoch;loss\n1/3;0,25\n2/3;0,125\n", [0.25, 0.125]),
        ("step,loss\n1,[0.5]\n2,[0.25]\n", [0.5, 0.25]),
        ("step,loss\n1,\"tensor(0.5, device='cuda:0')\"\n2,tensor(2.5e-01)\n", [0.5, 0.25]),
        ('step,weights,loss\n1,"[0.1, 0.2]",3\n2,[0.3 0.4],2\n', [3, 2]),
    ],
)
def test_numbers_are_found_in_the_cells_people_write(
    tmp_path: Path, text: str, values: list[float]
) -> None:
    assert read_text(tmp_path, text).train.loss.tolist() == values


@pytest.mark.parametrize("end", ["3,0.3", "3,0.3,0.", "3,0.125,0", "3,"])
def test_a_row_that_a_crash_cut_off_is_left_out(tmp_path: Path, end: str) -> None:
    whole = "epoch,train_loss,val_loss\n1,0.500,0.750\n2,0.250,0.625\n"
    run = read_text(tmp_path, whole + end)
    assert losses(run) == ([0.5, 0.25], [0.75, 0.625])
    assert "The last row is cut off and left out." in run.notes


def test_a_short_row_that_ends_its_line_is_a_row(tmp_path: Path) -> None:
    run = read_text(tmp_path, "step,loss,val_loss\n1,3\n2,2,2.5\n3,1\n")
    assert losses(run) == ([3, 2, 1], [2.5])


def test_a_header_in_the_middle_begins_a_run_or_goes_on(tmp_path: Path) -> None:
    again = "step,loss\n1,3\n2,2\nstep,loss\n1,2.5\n2,1.5\n3,1\n"
    (tmp_path / "again.csv").write_text(again)
    first, second = read_all(tmp_path / "again.csv")
    assert (first.train.loss.tolist(), second.train.loss.tolist()) == ([3, 2], [2.5, 1.5, 1])
    run = read_text(tmp_path, "step,loss\n1,3\n2,2\nstep,val_loss,loss\n3,1.75,1.5\n4,1.25,1\n")
    assert losses(run) == ([3, 2, 1.5, 1], [1.75, 1.25])
    assert (run.train.step.tolist(), run.eval.step.tolist()) == ([1, 2, 3, 4], [3, 4])
    assert any("header stands once more" in note for note in run.notes)


def test_nan_between_numbers_was_not_logged_and_nan_at_the_end_was(tmp_path: Path) -> None:
    run = read_text(
        tmp_path, "step,loss,val_loss\n1,3,nan\n2,2,2.5\n3,nan,nan\n4,nan,nan\n5,nan,2\n"
    )
    assert run.eval.step.tolist() == [2, 5]
    assert run.nonfinite == {"loss": 3}
    assert any("taken as not logged" in note for note in run.notes)


@pytest.mark.parametrize("filler", ["0", "0.0", "-1"])
def test_an_eval_loss_that_is_filled_up_between_its_numbers(tmp_path: Path, filler: str) -> None:
    rows = [f"{s},{4 / s},{filler if s % 3 else 6 / s}" for s in range(1, 7)]
    run = read_text(tmp_path, "\n".join(["step,loss,eval_loss", *rows, ""]))
    assert (run.eval.step.tolist(), run.eval.loss.tolist()) == ([3, 6], [2, 1])
    assert any(f"eval_loss is {filler[:2].strip('.')} in 4 of 6 rows" in n for n in run.notes)


def test_an_eval_loss_that_fell_to_zero_stays_as_it_is(tmp_path: Path) -> None:
    rows = [f"{s},1,{value}" for s, value in enumerate((1, 0.125, 0, 0, 0, 0.0078125, 0))]
    run = read_text(tmp_path, "\n".join(["step,loss,eval_loss", *rows, ""]))
    assert run.eval.loss.tolist() == [1, 0.125, 0, 0, 0, 0.0078125, 0]


def test_a_separator_at_the_end_of_each_row_moves_no_column(tmp_path: Path) -> None:
    run = read_text(tmp_path, "epoch,train_loss,val_loss\n1,4,5,\n2,3,4.5,\n3,2,4.25,\n")
    assert losses(run) == ([4, 3, 2], [5, 4.5, 4.25])
    assert run.train.epoch.tolist() == [1, 2, 3]


def test_short_names_of_train_and_eval_loss_go_together(tmp_path: Path) -> None:
    run = read_text(tmp_path, "epoch,t_loss,t_acc,v_loss\n1,4,0,5\n2,3,0,4.5\n")
    assert losses(run) == ([4, 3], [5, 4.5])
    assert (run.train.key, run.eval.key) == ("t_loss", "v_loss")
    assert run.notes == ("The columns t_loss and v_loss are taken for train and eval loss.",)
    run = read_text(tmp_path, "epoch,pi_loss,t_loss,v_loss\n1,4,2,5\n2,3,1,4.5\n")
    assert len(run.eval) == 0
    run = read_text(tmp_path, "step,loss,v_loss\n1,4,5\n2,3,4.5\n")
    assert losses(run) == ([4, 3], [])


def test_clients_of_a_federation_are_runs(tmp_path: Path) -> None:
    rows = [f"{r},{client},{client + 4 / r}" for r in (1, 2) for client in (0, 1)]
    (tmp_path / "fed.csv").write_text("\n".join(["round,client,train_loss", *rows, ""]))
    first, second = read_all(tmp_path / "fed.csv")
    assert (first.train.loss.tolist(), second.train.loss.tolist()) == ([4, 2], [5, 3])


def test_a_column_may_say_whether_a_row_is_about_train_or_eval_data(tmp_path: Path) -> None:
    run = read_text(
        tmp_path, "epoch,phase,loss\n1,train,3\n1,val,3.5\n2,train,2\n2,val,2.5\n3,train,1\n"
    )
    assert losses(run) == ([3, 2, 1], [3.5, 2.5])
    assert run.eval.epoch.tolist() == [1, 2]


def test_a_column_may_say_whose_row_it_is(tmp_path: Path) -> None:
    rows = [f"{fold},{e},{fold + 3 / e}" for fold in (0, 1) for e in (1, 2, 3)]
    (tmp_path / "folds.csv").write_text("\n".join(["fold,epoch,val_loss", *rows, ""]))
    first, second = read_all(tmp_path / "folds.csv")
    assert (first.source.run, second.source.run) == ("fold 0", "fold 1")
    assert second.eval.loss.tolist() == [4, 2.5, 2]


def test_a_list_of_names_and_values_is_put_in_columns(tmp_path: Path) -> None:
    rows = [
        f"{s},{k},{v}" for s in (1, 2) for k, v in (("loss", 4 / s), ("val_loss", 5), ("f1", 0))
    ]
    run = read_text(tmp_path, "\n".join(["step,metric,value", *rows, ""]))
    assert losses(run) == ([4, 2], [5, 5])
    assert run.eval.step.tolist() == [1, 2]


@pytest.mark.parametrize(
    ("name", "text", "key", "axis"),
    [
        ("train_loss.csv", "2.5\n1.5\n1.0\n", "train_loss", "epoch"),
        ("train_loss.txt", "1 2.5\n2 1.5\n3 1.0\n", "train_loss", "epoch"),
        ("loss.csv", "100,2.5\n200,1.5\n300,1.0\n", "loss", "step"),
        ("numbers.txt", "loss\n2.5\n1.5\n1.0\n", "loss", "epoch"),
    ],
)
def test_numbers_without_a_header_are_what_their_file_is_called(
    tmp_path: Path, name: str, text: str, key: str, axis: str
) -> None:
    run = read_text(tmp_path, text, name)
    assert (run.train.key, run.train.loss.tolist()) == (key, [2.5, 1.5, 1.0])
    scale = 100 if axis == "step" else 1
    assert getattr(run.train, axis).tolist() == [scale, 2 * scale, 3 * scale]


def test_columns_of_a_file_called_loss_are_losses(tmp_path: Path) -> None:
    run = read_text(tmp_path, "epoch,train,val\n1,0.5,0.75\n2,0.25,0.625\n", "losses.csv")
    assert losses(run) == ([0.5, 0.25], [0.75, 0.625])
    assert (run.train.key, run.eval.key) == ("train", "val")
    assert any("By the name of the file" in note for note in run.notes)
    assert refusal(tmp_path, "epoch,train,val\n1,0.5,0.75\n2,0.25,0.625\n").code == "FT406"


@pytest.mark.parametrize(
    ("text", "code", "message"),
    [
        ("text,label\n\"well, yes\",1\nno,0\n", "FT406", "2 columns and 2 rows, none of them a loss"),
        ("age,capital-loss,hours\n39,0,40\n50,2,13\n", "FT406", "age, capital-loss, hours"),
        ("epoch,accuracy\n1,0.5\n2,0.75\n", "FT406", "none of them a loss: epoch, accuracy"),
        ("1,0.5,0.75\n2,0.25,0.625\n", "FT406", "3 columns of numbers without a header"),
        ("model,train_loss,val_loss\na,1,2\nb,1,2\nc,2,3\n", "FT405", "one final value per model"),
        ("lr,batch_size,val_loss\n0.1,8,2\n0.1,16,3\n", "FT405", "one final value per setting"),
        ("season,wins,losses\n2001,9,7\n2002,4,12\n", "FT406", "none of them a loss: season"),
        ("day,profit,loss\n1,0,2.5\n2,1.5,0\n", "FT406", "none of them a loss: day, profit, loss"),
        ("epoch,train_loss,val_loss\n", "FT405", "the header of a table"),
        ("epoch,train_loss\n1,\n2,\n", "FT405", "no number in train_loss"),
    ],
)  # fmt: skip
def test_a_table_without_a_history_is_called_what_it_is(
    tmp_path: Path, text: str, code: str, message: str
) -> None:
    error = refusal(tmp_path, text)
    assert (error.code, message in error.message) == (code, True), error.message
    assert error.hint


@pytest.mark.parametrize(
    "text",
    [
        "Epoch 1, loss 0.5, val 0.6\nEpoch 2, loss 0.4, val 0.5\n",
        "2026-01-01 10:00:00,123 INFO loss: 0.5\n2026-01-01 10:00:01,123 INFO loss: 0.4\n",
        " iteration 10/ 50 | lm loss: 9.3E+00 |\n iteration 20/ 50 | lm loss: 8.3E+00 |\n",
        '{"loss": 0.5, "step": 1}\n{"loss": 0.4, "step": 2}\n',
        "The loss fell at first.\nThen it rose.\n",
    ],
)
def test_lines_of_text_are_no_table(tmp_path: Path, text: str) -> None:
    (tmp_path / "log.txt").write_text(text)
    assert csv_table.sniff(Source(tmp_path / "log.txt")) == 0


def test_a_series_that_is_asked_for_is_taken_whatever_it_is_called(tmp_path: Path) -> None:
    (tmp_path / "log.csv").write_text("step,loss,regret,val_loss\n1,3,9,4\n2,2,8,3\n")
    run = read(tmp_path / "log.csv", key="regret")
    assert (run.train.key, run.train.loss.tolist()) == ("regret", [9, 8])
    assert run.eval.key == "val_loss"


def test_a_line_and_a_field_beyond_every_measure_cost_no_other_row(tmp_path: Path) -> None:
    long_line, long_field = "9," * 700_000, '"' + "x" * 200_000 + '"'
    run = read_text(tmp_path, f"step,loss\n1,3\n{long_line}\n2,2\n3,{long_field}\n4,1\n")
    assert run.train.step.tolist() == [1, 2, 4]


def test_a_table_over_the_limits_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(frame_filling, "MAX_ROWS", 10)
    error = refusal(tmp_path, "step,loss\n" + "".join(f"{s},1\n" for s in range(11)))
    assert error.code == "FT407"
    assert frame.MAX_ROWS > 10**6


def test_the_reader_keeps_the_contract_of_readers(tmp_path: Path) -> None:
    bad = tmp_path / "bad.csv"
    bad.write_text("text,label\na,1\n")
    check_reader(csv_table.READER, sorted(GOOD.iterdir()), [bad])
