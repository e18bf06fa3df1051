"""The promises of a reader, checked on good files, bad ones and garbage."""

from __future__ import annotations

import random
import tempfile
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from ftadvise.errors import LogError
from ftadvise.plugin_faults import FAULTS
from ftadvise.readers.source import Reader, Source
from ftadvise.run import LearningRates, Run, Series
from ftadvise.testing.promises import answer, require, require_name, require_type

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterable

    _StrPath = str | os.PathLike[str]

_RANDOM_FILES = 20
_CUTS = 12


def check_reader(
    reader: Reader, good_paths: Iterable[_StrPath], bad_paths: Iterable[_StrPath] = ()
) -> None:
    """Check that `reader` keeps the promises that ftadvise relies on.

    Good files must be sniffed above zero and give runs of the right types. Bad files, the good
    ones cut off anywhere and random bytes must give runs or a `LogError`, and `sniff` must answer
    with a number from 0 to 1 for all of them.

    Args:
        reader: The reader to check.
        good_paths: Files in its format, at least one.
        bad_paths: Files that it must refuse with a `LogError`.

    Raises:
        AssertionError: The reader breaks a promise.
    """
    good = [Path(path) for path in good_paths]
    require(bool(good), "at least one good path is needed")
    check_reader_on_garbage(reader, good)
    for path in good:
        source = Source(path)
        require(_sniffed(reader, source, str(path)) > 0, f"{path}: sniff does not know it")
        runs = _runs(reader, source, str(path))
        require(bool(runs), f"{path}: refused, though it is a good file")
        for run in runs:
            _check_run(run, str(path))
        if reader.gather is not None:
            _check_gathered(reader.gather, path)
    for path in map(Path, bad_paths):
        try:
            source = Source(path)
        except LogError:
            continue
        _sniffed(reader, source, str(path))
        require(not _runs(reader, source, str(path)), f"{path}: read, though it is a bad file")


def check_reader_on_garbage(reader: Reader, good: Iterable[_StrPath] = ()) -> None:
    """Check what can be checked of `reader` without knowing its format.

    It has to have a name and a description, and to survive random bytes and damaged files.

    Args:
        reader: The reader to check.
        good: Files in its format, which are cut off anywhere and spoilt.

    Raises:
        AssertionError: The reader breaks a promise.
    """
    require_type(reader, Reader, "register_readers")
    require_name(reader.name, "reader")
    require(bool(reader.description), f"reader {reader.name}: no description says what it reads")
    with tempfile.TemporaryDirectory() as folder:
        for name, content in _garbage([Path(path) for path in good]):
            _check_garbage(reader, Path(folder) / "log", name, content)


def _check_gathered(gather: Callable[[Path], Sequence[Path]], path: Path) -> None:
    files: Any = answer(f"{path}: gather", gather, path)
    known = isinstance(files, Sequence) and not isinstance(files, str)
    listed = cast("list[object]", list(files)) if known else []  # pyright: ignore[reportUnknownArgumentType]
    whole = all(isinstance(file, Path) and file.is_file() for file in listed)
    require(
        path in listed and whole and len(set(listed)) == len(listed),
        f"{path}: gather returned {files!r}, not the files of its run with itself among them",
    )


def _garbage(good: list[Path]) -> Iterable[tuple[str, bytes]]:
    chance = random.Random(0)
    for path in good:
        whole = path.read_bytes()
        for part in range(1, _CUTS):
            cut = len(whole) * part // _CUTS
            yield f"{path} cut off after {cut} bytes", whole[:cut]
        broken = bytearray(whole)
        for _ in range(max(1, len(whole) // 50)):
            broken[chance.randrange(len(broken))] = chance.randrange(256)
        yield f"{path} with random bytes in it", bytes(broken)
    for number in range(_RANDOM_FILES):
        yield f"random bytes ({number})", chance.randbytes(chance.randrange(1, 4096))


def _check_garbage(reader: Reader, path: Path, name: str, content: bytes) -> None:
    path.write_bytes(content)
    try:
        source = Source(path)
    except LogError:  # empty: refused before any reader sees it
        return
    _sniffed(reader, source, name)
    for run in _runs(reader, source, name):
        _check_run(run, name)


def _sniffed(reader: Reader, source: Source, name: str) -> float:
    sureness: Any = answer(f"{name}: sniff", reader.sniff, source)
    require(
        isinstance(sureness, int | float) and 0 <= sureness <= 1,
        f"{name}: sniff returned {sureness!r}, not a number from 0 to 1",
    )
    return float(sureness)


def _runs(reader: Reader, source: Source, name: str) -> list[Run]:
    """Return what the reader reads, an empty list for a `LogError`."""
    try:
        runs: Any = reader.read(source)
    except LogError as error:
        require(bool(error.message), f"{name}: a LogError without a message")
        return []
    except FAULTS as error:
        raise AssertionError(
            f"{name}: read raised {type(error).__name__}, not LogError: {error}"
        ) from error
    require(isinstance(runs, list), f"{name}: read returned {type(runs).__name__}, not a list")
    require(bool(runs), f"{name}: read returned no run; raise LogError where there is none")
    for run in cast("list[object]", runs):
        require(isinstance(run, Run), f"{name}: read returned a {type(run).__name__}, not a Run")
    return cast("list[Run]", runs)


def _check_run(run: Run, name: str) -> None:
    require(len(run.train) + len(run.eval) > 0, f"{name}: a run without any loss")
    for what, series in (("train", run.train), ("eval", run.eval)):
        where = f"{name}: run.{what}"
        _check_arrays({"step": series.step, "epoch": series.epoch, "loss": series.loss}, where)
        _check_key(series, where)
        require(not np.isinf(series.loss).any(), f"{where}.loss holds infinities, not NaN")
    where = f"{name}: run.lr"
    _check_arrays({"step": run.lr.step, "epoch": run.lr.epoch, "rate": run.lr.rate}, where)
    _check_key(run.lr, where)
    require(run.restarts >= 0, f"{name}: run.restarts is negative")
    require(all(count > 0 for count in run.nonfinite.values()), f"{name}: a zero in nonfinite")
    for plan in (run.planned_epochs, run.planned_steps):
        require(plan is None or (np.isfinite(plan) and plan > 0), f"{name}: a plan of {plan!r}")


def _check_arrays(arrays: dict[str, Any], where: str) -> None:
    sizes = {label: array.size for label, array in arrays.items()}
    require(len(set(sizes.values())) == 1, f"{where}: arrays of different lengths: {sizes}")
    for label, array in arrays.items():
        require(
            array.ndim == 1 and array.dtype == np.float64,
            f"{where}.{label} is {array.dtype} with {array.ndim} dimensions, not float64 with 1",
        )
        if label in ("step", "epoch"):
            known = array[np.isfinite(array)]
            require(not np.isinf(array).any(), f"{where}.{label} holds infinities")
            require(bool((np.diff(known) >= 0).all()), f"{where}.{label} goes back")


def _check_key(series: Series | LearningRates, where: str) -> None:
    if len(series):
        require(isinstance(series.key, str) and bool(series.key), f"{where}.key is not its name")
