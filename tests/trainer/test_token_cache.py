"""Several processes tokenise once: the first writes, the others map, and nothing hangs on it."""

from __future__ import annotations

import threading
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

pytest.importorskip("torch")
pytest.importorskip("transformers")

from tiny_runs import TINY

from ftadvise_trainer import models
from ftadvise_trainer.data import cache, prepare
from ftadvise_trainer.errors import TrainError
from ftadvise_trainer.settings.file import load_config
from ftadvise_trainer.tokenizers import load_tokenizer


class Case:
    """What `prepare` is called with, for a run of two processes in `folder`."""

    def __init__(self, folder: Path, *overrides: str) -> None:
        given = [f"training.output_dir={folder}", *overrides]
        self.config = load_config(TINY / "training.yaml", given)
        self.family = models.family_of(self.config)
        self.tokenizer = load_tokenizer(self.config, self.family)
        self.folder = folder

    def prepare(self) -> prepare.Prepared:
        return prepare.prepare(self.config, self.tokenizer, self.family)

    def key(self) -> str:
        key = cache.key_of(self.config, self.tokenizer, self.family)
        assert key is not None
        return key

    def kept(self) -> list[Path]:
        return sorted(self.folder.glob(f"{cache.NAME}*"))


@pytest.fixture
def case(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Case:
    monkeypatch.setenv("WORLD_SIZE", "2")
    return Case(tmp_path / "out")


@pytest.fixture
def tokenised(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Count how often anything is tokenised."""
    calls: list[int] = []
    real = prepare._tokenised  # pyright: ignore[reportPrivateUsage]

    def counted(*given: Any) -> prepare.Prepared:
        calls.append(1)
        return real(*given)

    monkeypatch.setattr(prepare, "_tokenised", counted)
    return calls


def test_the_second_process_maps_what_the_first_has_written(
    case: Case, tokenised: list[int]
) -> None:
    first, second = case.prepare(), case.prepare()
    assert len(tokenised) == 1
    assert second.train.fingerprint == first.train.fingerprint
    assert second.eval.fingerprint == first.eval.fingerprint
    assert second.report == first.report
    assert second.train[3] == first.train[3]
    assert second.train.lengths == first.train.lengths
    assert type(second.train.arrays()[1]).__name__ == "memmap"


def test_a_single_process_writes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("WORLD_SIZE", raising=False)
    Case(tmp_path / "out").prepare()
    assert list(tmp_path.iterdir()) == []


def test_two_that_come_at_once_tokenise_once(case: Case, tokenised: list[int]) -> None:
    threads = [threading.Thread(target=case.prepare) for _ in range(3)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(60)
    assert len(tokenised) == 1


@pytest.mark.parametrize("name", ["train-ids.npy", "eval-trained.npy", "report.json"])
@pytest.mark.parametrize("cut", [True, False])
def test_a_damaged_cache_is_made_again(
    case: Case, tokenised: list[int], name: str, cut: bool
) -> None:
    whole = case.prepare()
    (place,) = case.kept()
    raw = (place / name).read_bytes()
    (place / name).write_bytes(raw[:-9] if cut else raw[:-9] + b"\x07" * 9)
    again = case.prepare()
    assert len(tokenised) == 2
    assert again.train.fingerprint == whole.train.fingerprint
    assert case.prepare().eval.fingerprint == whole.eval.fingerprint
    assert len(tokenised) == 2


def test_other_settings_data_or_templates_are_another_key(case: Case, tmp_path: Path) -> None:
    keys = {case.key()}
    keys.add(Case(tmp_path, "data.max_length=64").key())
    keys.add(Case(tmp_path, "data.loss_on=all").key())
    data = tmp_path / "train.jsonl"
    data.write_bytes((TINY / "train.jsonl").read_bytes())
    assert Case(tmp_path, f"data.train={data}").key() not in keys
    keys.add(Case(tmp_path, f"data.train={data}").key())
    data.write_bytes(data.read_bytes().replace(b"a", b"b", 1))
    keys.add(Case(tmp_path, f"data.train={data}").key())
    case.family = replace(case.family, end_of_turn="<|endoftext|>")
    keys.add(case.key())
    case.tokenizer.chat_template = "{{ messages }}"
    keys.add(case.key())
    assert len(keys) == 7


def test_one_cache_at_a_time_and_none_at_the_end(case: Case, tmp_path: Path) -> None:
    case.prepare()
    Case(case.folder, "data.max_length=64").prepare()
    assert len(case.kept()) == 1
    cache.clear(case.folder)
    assert list(case.folder.iterdir()) == []


def test_a_folder_that_cannot_be_written_costs_time_and_nothing_else(
    case: Case, tokenised: list[int], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*given: Any, **how: Any) -> None:
        raise OSError("no room")

    monkeypatch.setattr("numpy.save", full)
    assert len(case.prepare().train) == len(case.prepare().train) == 120
    assert len(tokenised) == 2
    assert case.kept() == []


def test_a_mistake_in_the_data_is_told_by_each_process(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("WORLD_SIZE", "2")
    case = Case(tmp_path / "out", "data.max_length=2")
    for _ in range(2):
        with pytest.raises(TrainError):
            case.prepare()
