"""Folders, the choice of a reader, and readers of plugins that misbehave."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from ftadvise import plugins, readers
from ftadvise.errors import LogError
from ftadvise.readers import read
from ftadvise.readers.source import Reader, Source
from ftadvise.run import Run

if TYPE_CHECKING:
    from collections.abc import Callable


def state(folder: Path, points: int) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    history = [{"step": s, "epoch": s / 10, "loss": 1.0} for s in range(1, points + 1)]
    (folder / "trainer_state.json").write_text(json.dumps({"log_history": history}))


def test_the_highest_checkpoint_is_read(tmp_path: Path) -> None:
    state(tmp_path / "checkpoint-9", 9)
    state(tmp_path / "checkpoint-100", 100)
    (tmp_path / "checkpoint-200").mkdir()
    run = read(tmp_path)
    assert len(run.train) == 100
    assert run.source.path.endswith("checkpoint-100/trainer_state.json")


def test_a_state_beside_the_checkpoints_comes_first(tmp_path: Path) -> None:
    state(tmp_path / "checkpoint-9", 9)
    state(tmp_path, 3)
    assert len(read(str(tmp_path)).train) == 3


def test_metrics_that_ftadvise_wrote_come_before_a_state_and_those_of_others_after(
    tmp_path: Path,
) -> None:
    state(tmp_path, 3)
    metrics = {"history": [{"step": s, "epoch": s / 10, "loss": 1.0} for s in range(1, 6)]}
    (tmp_path / "training_metrics.json").write_text(json.dumps(metrics))
    assert len(read(tmp_path).train) == 3
    ours = {"schema": "ftadvise.metrics/1", **metrics}
    (tmp_path / "training_metrics.json").write_text(json.dumps(ours))
    assert len(read(tmp_path).train) == 5


@pytest.mark.parametrize(
    ("policy", "planned"), [("anneal on onset", 3.5), ("ftadvise", 10.0), (None, 10.0)]
)
def test_a_run_that_began_its_decay_itself_was_as_long_as_it_was_to_be(
    tmp_path: Path, policy: str | None, planned: float
) -> None:
    rows = [
        {"step": 10 * e, "epoch": float(e), "loss": 2.0 / e, "eval_loss": 1.0} for e in (1, 2, 3)
    ]
    document = {
        "schema": "ftadvise.metrics/1",
        "config": {"training": {"num_train_epochs": 10.0}},
        "stopped": {"reason": "over", "epoch": 3.5, "policy": policy},
        "history": rows,
    }
    (tmp_path / "training_metrics.json").write_text(json.dumps(document))
    assert read(tmp_path).planned_epochs == planned


def test_any_json_with_a_history_will_do(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text('{"hidden_size": 8}')
    (tmp_path / "history.json").write_text('{"loss": [3, 2, 1]}')
    assert read(tmp_path).source.path.endswith("history.json")


def test_an_empty_folder_says_what_was_looked_for(tmp_path: Path) -> None:
    with pytest.raises(LogError) as caught:
        read(tmp_path)
    assert caught.value.code == "FT405"
    assert "trainer_state.json" in caught.value.hint


def test_what_is_wrong_with_the_state_is_said(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text("{}")
    (tmp_path / "trainer_state.json").write_text("version https://git-lfs.github.com/spec/v1\n")
    with pytest.raises(LogError) as caught:
        read(tmp_path)
    assert caught.value.code == "FT403"


def test_a_link_out_of_the_folder_is_not_followed(tmp_path: Path) -> None:
    state(tmp_path / "elsewhere", 3)
    folder = tmp_path / "output"
    folder.mkdir()
    (folder / "checkpoint-1").symlink_to(tmp_path / "elsewhere")
    (folder / "trainer_state.json").symlink_to(tmp_path / "elsewhere" / "trainer_state.json")
    with pytest.raises(LogError, match="no training log"):
        read(folder)


def fails_with(error: BaseException) -> Callable[[Source], Any]:
    def fail(_: Source) -> Any:
        raise error

    return fail


def returns(value: Any) -> Callable[[Source], Any]:
    return lambda _: value


@pytest.fixture
def read_with(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Run]:
    path = tmp_path / "log.json"
    path.write_text('{"loss": [2, 1]}')

    def read_first_with(reader: Reader, also_ours: bool = False) -> Run:
        def collected(_: str) -> list[Reader]:
            return [reader, *(readers.register_readers() if also_ours else [])]

        monkeypatch.setattr(plugins, "collect", collected)
        return read(path)

    return read_first_with


@pytest.mark.parametrize(
    "broken",
    [
        fails_with(ValueError("bad\x1b[31m")), fails_with(RecursionError()), fails_with(MemoryError()),
        fails_with(UnicodeDecodeError("utf-8", b"", 0, 1, "bad")), returns(None), returns([1]),
        returns([]), returns(Run()),
    ],
)  # fmt: skip
def test_a_reader_that_misbehaves_ends_in_a_log_error(
    read_with: Callable[..., Run], broken: Callable[[Source], Any]
) -> None:
    reader = Reader("theirs", "of a plugin", lambda _: 1.0, broken)
    with pytest.raises(LogError) as caught:
        read_with(reader)
    assert caught.value.message.isprintable()


def test_a_reader_that_fails_is_named(read_with: Callable[..., Run]) -> None:
    reader = Reader("theirs", "of a plugin", lambda _: 1.0, fails_with(KeyError("x")))
    with pytest.raises(LogError, match="reader theirs failed: KeyError"):
        read_with(reader)


def test_the_next_reader_tries_where_the_surest_fails(read_with: Callable[..., Run]) -> None:
    reader = Reader("theirs", "of a plugin", lambda _: 1.0, fails_with(KeyError("x")))
    assert read_with(reader, also_ours=True).source.format == "json_history"


def test_a_sniff_that_raises_counts_as_not_sure(read_with: Callable[..., Run]) -> None:
    reader = Reader("theirs", "of a plugin", fails_with(OSError()), returns([]))
    assert read_with(reader, also_ours=True).source.format == "json_history"


def test_reading_needs_no_scipy(tmp_path: Path) -> None:
    path = tmp_path / "log.json"
    path.write_text('{"loss": [2, 1]}')
    program = (
        "import sys; from ftadvise.readers.json_logs import json_history, trainer_state;"
        "from ftadvise.readers.source import Source; import pathlib;"
        f"json_history.read(Source(pathlib.Path({str(path)!r})));"
        "assert 'scipy' not in sys.modules, 'scipy'; assert 'torch' not in sys.modules, 'torch'"
    )
    env = {"PYTHONPATH": str(Path(readers.__file__).parents[2])}
    subprocess.run([sys.executable, "-c", program], check=True, env=env, timeout=60)
