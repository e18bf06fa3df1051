"""The reader reads its sample as it is meant, and survives everything else."""

from __future__ import annotations

from pathlib import Path

import ftadvise_lossbook as plugin
import pytest

from ftadvise.errors import LogError
from ftadvise.readers.source import Source
from ftadvise.testing import check_reader


def written(folder: Path, text: str) -> Path:
    """Return a file with the text."""
    path = folder / "sample.log"
    path.write_text(text)
    return path


def test_the_sample_is_read_as_it_is_meant(tmp_path: Path) -> None:
    """Both curves come out with their epochs."""
    (run,) = plugin.read(Source(written(tmp_path, plugin.SAMPLE)))
    assert run.eval.epoch.tolist() == [1, 2, 3, 4, 5]
    assert run.train.loss.tolist() == [2.31, 1.72, 1.31, 1.02, 0.80]
    assert run.eval.loss.tolist() == [2.40, 2.05, 1.96, 1.95, 2.01]


def test_a_line_that_is_cut_off_is_refused(tmp_path: Path) -> None:
    """The error says what a line has to be."""
    with pytest.raises(LogError, match="is not `epoch train_loss eval_loss`"):
        plugin.read(Source(written(tmp_path, plugin.SAMPLE + "6  0.6")))


def test_the_reader_keeps_its_promises(tmp_path: Path) -> None:
    """Good files, a file that is no log of a run, and garbage: the checks of ftadvise."""
    empty = tmp_path / "empty.log"
    empty.write_text(plugin.MARK + "\n")
    check_reader(plugin.READER, [written(tmp_path, plugin.SAMPLE)], bad_paths=[empty])
