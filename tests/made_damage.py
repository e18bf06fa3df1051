"""Good logs of every format, damage done to them, and what any reader may make of it.

`tests/readers/good/NAME/` holds small logs that the reader called NAME reads: files, or folders
with the files of one log. `tests/readers/regressions/NAME/` holds what once broke that reader.
"""

from __future__ import annotations

import contextlib
import random
import shutil
import signal
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from ftadvise import plugins
from ftadvise.errors import LogError
from ftadvise.readers.source import Reader, Source

if TYPE_CHECKING:
    from collections.abc import Generator

    from ftadvise.run import Run

ROOT = Path(__file__).resolve().parent / "readers"
GOOD = ROOT / "good"
REGRESSIONS = ROOT / "regressions"
SECONDS = 5.0  # for up to 100 kB, and as much for each 100 kB more

_WORDS = (
    b"NaN", b"-Infinity", b"1e999", b"-0", b"9" * 400, b"9" * 5000, b"null", b"{}", b"[]", b"[[", b"{\"a\":",
    b"\"", b"\\", b"\\ud800", b"\n", b"\r", b"\r\n", b"\n\n", b"\t", b",", b";", b"|", b"\0", b"\0" * 64,
    b"\xef\xbb\xbf", b"\xff\xfe", b"\x1b[2J", b"\x80", b"\xff" * 8, b"\x7f\xff\xff\xff", b"loss", b"step",
    b"epoch", b"eval_loss", b"train", b"1.5", b"-1", b"0", b" " * 300, b"e" * 300, b"-" * 300, b"(" * 300,
    b"1970-01-01 00:00:00,000", b"100%|", b"18446744073709551616",
)  # fmt: skip


class HangError(BaseException):
    """A reader took longer than it may; no `except Exception` swallows it."""


def readers() -> dict[str, Reader]:
    """Return every registered reader, those of plugins too, by its name."""
    return {reader.name: reader for reader in plugins.collect("register_readers")}


def good_logs(name: str) -> list[Path]:
    """Return the good logs of a reader: files and folders."""
    return _entries(GOOD / name)


def regressions(name: str | None = None) -> list[Path]:
    """Return what once broke a reader, or any reader."""
    folders = [REGRESSIONS / name] if name else _entries(REGRESSIONS)
    return [path for folder in folders for path in _entries(folder)]


def _entries(folder: Path) -> list[Path]:
    return sorted(folder.iterdir()) if folder.is_dir() else []


@contextlib.contextmanager
def at_most(seconds: float, what: str) -> Generator[None]:
    """Raise `HangError` when the block computes longer, or waits very long; it measures nothing."""

    def stop(*_: object) -> None:
        raise HangError(f"{what}: not done after {seconds:g} s")

    # Of the processor's time, which other processes do not take from it; and of any time at all.
    guards = (
        (signal.SIGPROF, signal.ITIMER_PROF, seconds),
        (signal.SIGALRM, signal.ITIMER_REAL, 12 * seconds),
    )
    before = [signal.signal(number, stop) for number, _, _ in guards]
    for _, timer, limit in guards:
        signal.setitimer(timer, limit)
    try:
        yield
    finally:
        for (number, timer, _), handler in zip(guards, before, strict=True):
            signal.setitimer(timer, 0)
            signal.signal(number, handler)


def read_with(reader: Reader, path: Path) -> list[Run]:
    """Return what `reader` makes of a file, or of a folder with the files of one log.

    Raises:
        LogError: It refuses it.
        AssertionError: It breaks the contract of readers.
        HangError: It takes too long.
    """
    size = sum(file.stat().st_size for file in _files(path))
    with at_most(SECONDS * (1 + size // 100_000), f"{reader.name} on {path.name}"):
        source = _source(reader, path)
        sureness = reader.sniff(source)
        assert 0 <= sureness <= 1, f"sniff gave {sureness!r}"
        runs: Any = reader.read(source)
    assert isinstance(runs, list), f"read gave {type(runs).__name__}"
    assert runs, "read gave no run"
    for run in runs:
        check(run)
    return runs


def _source(reader: Reader, path: Path) -> Source:
    """Open a file, or that one of a folder which the reader is surest of, with all it gathers."""
    if not path.is_dir():
        return Source(path)
    first: Source | None = None
    sure = -1.0
    for file in _files(path):
        with contextlib.suppress(LogError):
            source = Source(file)
            sureness = reader.sniff(source)
            if sureness > sure:
                first, sure = source, sureness
    if first is None:
        raise LogError(f"{path.name}: no file in it can be opened")
    files = reader.gather(first.path) if reader.gather else ()
    return Source(first.path, files=tuple(files))


def _files(path: Path) -> list[Path]:
    return sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]


def check(run: Run) -> None:
    """Assert that a run holds together: lengths, order of time, finite axes, clean names."""
    assert len(run.train) + len(run.eval) > 0, "a run without any loss"
    for series in (run.train, run.eval):
        assert series.step.size == series.epoch.size == series.loss.size, "arrays differ in length"
        assert not np.isinf(series.loss).any(), "an infinite loss"
        for axis in (series.step, series.epoch):
            known = axis[np.isfinite(axis)]
            assert not np.isinf(axis).any(), "an infinite time"
            assert not (np.diff(known) < 0).any(), "time goes back"
    for note in run.notes:
        assert note.isprintable(), f"a note that is not clean: {note!r}"


def damaged(path: Path, chance: random.Random, into: Path) -> Path:
    """Return a damaged copy of a good log, in the folder `into`."""
    copy = into / path.name
    if copy.is_dir():
        shutil.rmtree(copy)
    if path.is_dir():
        shutil.copytree(path, copy)
        hit = chance.choice(_files(copy))
        hit.write_bytes(mutated(hit.read_bytes(), chance))
    else:
        copy.write_bytes(mutated(path.read_bytes(), chance))
    return copy


def mutated(content: bytes, chance: random.Random) -> bytes:
    """Return `content` with one to five pieces of it changed."""
    for _ in range(chance.choice((1, 1, 1, 2, 3, 5))):
        content = chance.choice(_MUTATIONS)(content, chance)
    return content[:1_000_000]


def _place(content: bytes, chance: random.Random) -> int:
    return chance.randrange(len(content) + 1)


def _span(content: bytes, chance: random.Random) -> tuple[int, int]:
    start = _place(content, chance)
    return start, min(len(content), start + chance.choice((1, 2, 4, 16, 100, 1000)))


def _cut_off(content: bytes, chance: random.Random) -> bytes:
    return content[: _place(content, chance)]


def _flip(content: bytes, chance: random.Random) -> bytes:
    changed = bytearray(content)
    for _ in range(chance.choice((1, 3, 20)) if changed else 0):
        changed[chance.randrange(len(changed))] = chance.randrange(256)
    return bytes(changed)


def _remove(content: bytes, chance: random.Random) -> bytes:
    start, end = _span(content, chance)
    return content[:start] + content[end:]


def _repeat(content: bytes, chance: random.Random) -> bytes:
    start, end = _span(content, chance)
    return content[:end] + content[start:end] * chance.choice((1, 2, 50)) + content[end:]


def _move(content: bytes, chance: random.Random) -> bytes:
    start, end = _span(content, chance)
    rest = content[:start] + content[end:]
    place = _place(rest, chance)
    return rest[:place] + content[start:end] + rest[place:]


def _insert(content: bytes, chance: random.Random) -> bytes:
    place = _place(content, chance)
    return content[:place] + chance.choice(_WORDS) + content[place:]


def _other_number(content: bytes, chance: random.Random) -> bytes:
    """Put one of the words in the place of a run of digits."""
    start = place = _place(content, chance)
    while place < len(content) and not content[place : place + 1].isdigit():
        place += 1
    start = place
    while place < len(content) and content[place : place + 1].isdigit():
        place += 1
    return content[:start] + chance.choice(_WORDS) + content[place:]


def _lines_shuffled(content: bytes, chance: random.Random) -> bytes:
    lines = content.splitlines(keepends=True)
    chance.shuffle(lines)
    return b"".join(lines)


def _line_twice(content: bytes, chance: random.Random) -> bytes:
    lines = content.splitlines(keepends=True)
    if not lines:
        return content
    line = chance.choice(lines)
    lines.insert(chance.randrange(len(lines)), line * chance.choice((1, 1, 30)))
    return b"".join(lines)


_MUTATIONS = (
    _cut_off, _flip, _remove, _repeat, _move, _insert, _insert, _other_number, _other_number,
    _lines_shuffled, _line_twice,
)  # fmt: skip
