"""The series that the caller asks for by name."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from ftadvise import plugins
from ftadvise.errors import LogError
from ftadvise.readers import read, read_all
from ftadvise.readers.source import Reader, Source
from ftadvise.readers.wanted import Wanted, match
from ftadvise.run import Run, Series, as_floats

if TYPE_CHECKING:
    from collections.abc import Callable

ROWS = [
    {
        "step": s,
        "loss": 10.0 / s,
        "g_loss": 20.0 / s,
        "metrics": {"d_loss": 30.0 / s, "nll_tokens": 40.0 / s},
        "val_loss": 11.0 / s,
        "Test_NLL": 12.0 / s,
        "perplexity": 13.0 / s,
    }
    for s in (1, 2, 3)
]


@pytest.fixture
def log(tmp_path: Path) -> Path:
    path = tmp_path / "log.json"
    path.write_text(json.dumps({"history": ROWS}))
    return path


def first(series: Series) -> tuple[str | None, float | None]:
    return series.key, float(series.loss[0]) if len(series) else None


@pytest.mark.parametrize(
    ("key", "found"),
    [
        (None, ("loss", 10.0)),
        ("g_loss", ("g_loss", 20.0)),
        ("G_LOSS", ("g_loss", 20.0)),
        ("metrics.d_loss", ("metrics.d_loss", 30.0)),
        ("d_loss", ("metrics.d_loss", 30.0)),
        ("nll_tokens", ("metrics.nll_tokens", 40.0)),
        ("history.loss", ("loss", 10.0)),
        ("perplexity", ("perplexity", 13.0)),
        ("val_loss", ("val_loss", 11.0)),
        ("", (None, None)),
    ],
)
def test_the_train_loss_is_the_series_of_that_name_whatever_the_name_means(
    log: Path, key: str | None, found: tuple[str, float]
) -> None:
    assert first(read(log, key=key).train) == found


@pytest.mark.parametrize(
    ("eval_key", "found"),
    [
        (None, ("val_loss", 11.0)),
        ("test_nll", ("Test_NLL", 12.0)),
        ("perplexity", ("perplexity", 13.0)),
        ("loss", ("loss", 10.0)),
        ("", (None, None)),
    ],
)
def test_the_eval_loss_is_the_series_of_that_name(
    log: Path, eval_key: str | None, found: tuple[str, float]
) -> None:
    assert first(read(log, eval_key=eval_key).eval) == found


def test_a_series_is_not_the_train_and_the_eval_loss_at_once(log: Path) -> None:
    run = read(log, key="val_loss")
    assert run.train.key == "val_loss"
    assert run.eval.key != "val_loss"
    with pytest.raises(LogError, match="at once") as caught:
        read(log, key="loss", eval_key="loss")
    assert caught.value.code == "FT409"


def test_a_name_that_no_series_has_is_answered_with_those_there_are(log: Path) -> None:
    with pytest.raises(LogError) as caught:
        read(log, key="looss")
    assert caught.value.code == "FT409"
    assert caught.value.message.startswith(f"{log}: no series is called 'looss'")
    for name in ("loss", "g_loss", "metrics.d_loss", "val_loss", "perplexity"):
        assert name in caught.value.hint


def test_an_end_that_several_names_have_is_refused_with_their_names(tmp_path: Path) -> None:
    log = tmp_path / "log.json"
    log.write_text(json.dumps([{"epoch": e, "a": {"nll": 1}, "b": {"nll": 2}} for e in (1, 2)]))
    with pytest.raises(LogError, match="several series are called 'nll'") as caught:
        read(log, key="nll")
    assert "a.nll, b.nll" in caught.value.hint
    assert read(log, key="b.nll").train.loss.tolist() == [2, 2]


def test_of_a_loss_under_train_and_one_under_val_each_flag_means_its_own(tmp_path: Path) -> None:
    log = tmp_path / "log.json"
    sides = {"train": 1.0, "val": 2.0}
    log.write_text(
        json.dumps({k: [{"epoch": e, "loss": x} for e in (1, 2)] for k, x in sides.items()})
    )
    run = read(log, key="loss", eval_key="loss")
    assert run.train.loss.tolist() == [1, 1]
    assert run.eval.loss.tolist() == [2, 2]
    assert read(log, key="train.loss", eval_key="val.loss").eval.loss.tolist() == [2, 2]


def test_runs_without_the_series_are_left_out(tmp_path: Path) -> None:
    log = tmp_path / "log.json"
    runs = {"a": [{"epoch": 1, "loss": 1}] * 2, "b": [{"epoch": 1, "other_loss": 1}] * 2}
    log.write_text(json.dumps(runs))
    assert len(read_all(log)) == 2
    assert [run.source.run for run in read_all(log, key="other_loss")] == [""]


def test_no_series_at_all_is_an_error(log: Path) -> None:
    with pytest.raises(LogError, match="no loss is left") as caught:
        read(log, key="", eval_key="")
    assert caught.value.code == "FT405"


def test_a_name_keeps_the_pairing_of_train_and_eval(tmp_path: Path) -> None:
    log = tmp_path / "log.json"
    names = ("rnn_loss", "val_rnn_loss", "cnn_loss", "val_cnn_loss")
    log.write_text(json.dumps({name: [float(i), 1.0] for i, name in enumerate(names)}))
    assert read(log, key="cnn_loss").eval.key == "val_cnn_loss"


def test_names_in_messages_are_cleaned(tmp_path: Path) -> None:
    log = tmp_path / "log.json"
    log.write_text(json.dumps({"lo\x1b[2Jss": [1.0, 2.0], "x\x9b_loss": [1.0, 2.0]}))
    with pytest.raises(LogError) as caught:
        read(log, key="\x1b[31mno\u202e")
    assert (caught.value.message + caught.value.hint).isprintable()


@pytest.mark.parametrize(
    ("name", "wanted", "mark"),
    [
        ("loss", "loss", 3), ("Loss", "loss", 2), (" loss ", "loss", 2), ("a.loss", "loss", 1),
        ("a/loss", "LOSS", 1), ("train:loss", "loss", 1), ("my_loss", "loss", 0),
        ("loss", "a.loss", 0), ("", "", 3), ("loss", "", 0), ("xloss", "loss", 0),
    ],
)  # fmt: skip
def test_a_name_matches_as_it_is_then_but_for_case_then_by_its_end(
    name: str, wanted: str, mark: int
) -> None:
    assert match(name, wanted) == mark


def a_run(train: str, held_out: str) -> Run:
    def series(key: str) -> Series:
        return Series(key, as_floats([1, 2]), as_floats([1, 2]), as_floats([2, 1]))

    return Run(train=series(train), eval=series(held_out))


@pytest.fixture
def foreign(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A log that only a reader of somebody else reads, which takes no names."""

    def reads(_: Source) -> list[Run]:
        return [a_run("a", "b"), a_run("c", "d")]

    reader = Reader("theirs", "of a plugin", lambda _: 1.0, reads)
    monkeypatch.setattr(plugins, "collect", _gives(reader))
    (tmp_path / "log").write_text("x")
    return tmp_path / "log"


@pytest.mark.parametrize(
    ("wanted", "runs"),
    [
        ({"key": "a"}, [("a", "b")]),
        ({"key": "C"}, [("c", "d")]),
        ({"eval_key": "d"}, [("c", "d")]),
        ({"eval_key": ""}, [("a", None), ("c", None)]),
    ],
)
def test_a_reader_that_knows_nothing_of_names_still_gives_no_other_series(
    foreign: Path, wanted: dict[str, str], runs: list[tuple[str, str | None]]
) -> None:
    assert [(r.train.key, r.eval.key) for r in read_all(foreign, **wanted)] == runs


@pytest.mark.parametrize("wanted", [{"key": "b"}, {"eval_key": "a"}])
def test_a_series_that_such_a_reader_did_not_give_is_an_error(
    foreign: Path, wanted: dict[str, str]
) -> None:
    with pytest.raises(LogError) as caught:
        read_all(foreign, **wanted)
    assert caught.value.code == "FT409"
    assert "a, b, c, d" in caught.value.hint


def _gives(reader: Reader) -> Callable[[str], list[Any]]:
    return lambda _: [reader]


def test_a_column_that_may_be_asked_for_is_to_be_kept() -> None:
    assert Wanted("train.nll").names("nll")
    assert Wanted(eval_key="nll").names("metrics.nll")
    assert not Wanted("nll", "").names("loss")
    assert not Wanted().names("loss")


meaningful = (
    "loss", "val_loss", "train_loss", "step", "epoch", "lr", "train/loss", "val/loss", "test_loss",
    "loss/train", "a/loss", "b/loss", "total_loss", "grad_norm", "max_steps", "accuracy", "x.loss",
    "eval_accuracy", "iteration", "Loss", "LOSS", "seed", "fold", "value", "train", "eval",
)  # fmt: skip
series_names = st.lists(
    st.sampled_from(meaningful)
    | st.from_regex(r"[a-zA-Z][a-zA-Z_./ -]{0,12}[a-z]", fullmatch=True),
    min_size=1,
    max_size=8,
    unique=True,
)


@settings(max_examples=60, deadline=None)
@given(series_names, st.booleans(), st.data())
def test_any_series_can_be_taken_by_its_whole_name(
    tmp_path_factory: pytest.TempPathFactory, names: list[str], rows: bool, data: st.DataObject
) -> None:
    wanted = data.draw(st.sampled_from(names))
    columns = {name: [10.0 * at + x for x in (1, 2, 3)] for at, name in enumerate(names, 1)}
    listed = [{name: column[x] for name, column in columns.items()} for x in range(3)]
    log = tmp_path_factory.getbasetemp() / "series.json"
    log.write_text(json.dumps(listed if rows else columns))
    run = read(log, key=wanted)
    assert (run.train.key, run.train.loss.tolist()) == (wanted, columns[wanted])
    run = read(log, eval_key=wanted)
    assert (run.eval.key, run.eval.loss.tolist()) == (wanted, columns[wanted])
    with pytest.raises(LogError) as caught:
        read(log, key="no such series")
    assert caught.value.code == "FT409"


@pytest.mark.parametrize("whole", ["loss", "val_loss"])
def test_losses_of_several_parts_beside_a_whole_one_are_no_runs(
    whole: str, tmp_path: Path
) -> None:
    log = tmp_path / "parts.json"
    log.write_text(json.dumps({"a/loss": [3, 2, 1], whole: [9, 8, 7], "b/loss": [6, 5, 4]}))
    (run,) = read_all(log)
    taken = run.train if whole == "loss" else run.eval
    assert (taken.key, taken.loss.tolist()) == (whole, [9, 8, 7])
