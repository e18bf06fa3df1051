"""What is opened as a log: plain files, compressed ones, the standard input; and what is refused."""

from __future__ import annotations

import bz2
import functools
import gzip
import io
import lzma
import os
import socket
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from ftadvise.errors import LogError
from ftadvise.readers import read, source
from ftadvise.readers.files import expanding, spool
from ftadvise.readers.source import Source, opened

if TYPE_CHECKING:
    from collections.abc import Callable

TEXT = b'{"loss": [3.0, 2.0, 1.5], "val_loss": [3.1, 2.4, 2.2]}'
COMPRESSED: dict[str, Callable[[bytes], bytes]] = {
    "gz": gzip.compress, "bz2": bz2.compress, "xz": functools.partial(lzma.compress, preset=0),
}  # fmt: skip


def write(tmp_path: Path, content: bytes, name: str = "log.json") -> Path:
    path = tmp_path / name
    path.write_bytes(content)
    return path


def refused(path: Path | str) -> LogError:
    with pytest.raises(LogError) as caught:
        opened(path)
    return caught.value


class Piped(io.TextIOWrapper):
    """A standard input that holds some bytes."""

    def __init__(self, content: bytes, terminal: bool = False) -> None:
        super().__init__(io.BytesIO(content))
        self.terminal = terminal

    def isatty(self) -> bool:
        return self.terminal


@pytest.mark.parametrize("kind", COMPRESSED)
def test_a_compressed_log_reads_as_the_log_itself_whatever_its_name(
    tmp_path: Path, kind: str
) -> None:
    run = read(write(tmp_path, COMPRESSED[kind](TEXT)))
    assert run.train.loss.tolist() == [3.0, 2.0, 1.5]
    assert run.source.path.endswith("log.json")
    assert run.notes == ("No step or epoch in the log: points are taken as epochs 1, 2, 3, ...",)


@pytest.mark.parametrize("kind", COMPRESSED)
def test_streams_one_after_the_other_are_one_log(tmp_path: Path, kind: str) -> None:
    compress = COMPRESSED[kind]
    content = compress(TEXT[:20]) + compress(b"") + compress(TEXT[20:])
    assert opened(write(tmp_path, content)).text == TEXT.decode()


@pytest.mark.parametrize("package", expanding.ZSTD_PACKAGES)
def test_zstd_is_read_by_whatever_package_is_there(
    tmp_path: Path, package: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    zstd = pytest.importorskip(package)
    monkeypatch.setattr(expanding, "ZSTD_PACKAGES", [package])
    compress = zstd.compress
    path = write(tmp_path, compress(TEXT[:20]) + compress(TEXT[20:]), "log.zst")
    assert opened(path).text == TEXT.decode()
    cut = opened(write(tmp_path, compress(TEXT) + compress(os.urandom(1000))[:-30]))
    assert cut.text.startswith(TEXT.decode())
    assert cut.notes == ("The compressed file is cut off; read up to there.",)
    assert refused(write(tmp_path, compress(TEXT)[:8] + b"\xff" * 60)).code == "FT404"
    assert refused(write(tmp_path, compress(b"\0" * 50_000_000))).code == "FT407"


def test_zstd_without_a_package_says_what_to_install(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in expanding.ZSTD_PACKAGES:
        monkeypatch.setitem(sys.modules, name, None)
    error = refused(write(tmp_path, b"\x28\xb5\x2f\xfd" + b"\0" * 20))
    assert error.code == "FT404"
    assert "zstd" in error.message
    assert "ftadvise[zstd]" in error.hint


@pytest.mark.parametrize("kind", COMPRESSED)
def test_a_compressed_log_that_is_cut_off_is_read_as_far_as_it_goes(
    tmp_path: Path, kind: str
) -> None:
    rows = b"".join(b'{"step": %d, "loss": %.3f}\n' % (i, 3 / i) for i in range(1, 40_000))
    content = COMPRESSED[kind](rows)
    run = read(write(tmp_path, content[: len(content) * 9 // 10]))
    assert 0 < len(run.train) < 40_000
    assert "The compressed file is cut off; read up to there." in run.notes


@pytest.mark.parametrize("kind", COMPRESSED)
def test_a_compressed_log_that_is_damaged_is_refused(tmp_path: Path, kind: str) -> None:
    content = bytearray(COMPRESSED[kind](TEXT * 100))
    content[len(content) // 2] ^= 0xFF
    error = refused(write(tmp_path, bytes(content)))
    assert error.code == "FT404"
    assert "damaged" in error.message


@pytest.mark.parametrize("kind", COMPRESSED)
def test_a_file_that_expands_two_hundredfold_is_refused_and_leaves_nothing(
    tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    error = refused(write(tmp_path, COMPRESSED[kind](b"\0" * 3_000_000), "bomb"))
    assert error.code == "FT407"
    assert [path.name for path in tmp_path.iterdir()] == ["bomb"]


def test_what_expands_to_more_than_the_limit_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool, "MAX_SPOOLED", 1000)
    error = refused(write(tmp_path, gzip.compress(os.urandom(1001))))
    assert error.code == "FT407"
    monkeypatch.setattr(sys, "stdin", Piped(b"x" * 1001))
    assert refused("-").code == "FT407"


def test_a_file_that_only_begins_like_a_compressed_one_is_no_log(tmp_path: Path) -> None:
    assert refused(write(tmp_path, b"\x1f\x8b\x08" + b"\xff" * 100)).code == "FT404"
    assert opened(write(tmp_path, b"BZh is how this text begins")).text.startswith("BZh is")


def test_an_empty_compressed_file_is_empty(tmp_path: Path) -> None:
    assert refused(write(tmp_path, gzip.compress(b""))).code == "FT402"


def test_temporary_files_are_private_and_go_with_the_source(tmp_path: Path) -> None:
    made = opened(write(tmp_path, gzip.compress(TEXT), "log.json.gz"))
    lies_at = made.path
    assert lies_at.read_bytes() == TEXT
    assert lies_at.parent.stat().st_mode & 0o077 == 0
    assert (made.name, made.given) == ("log.json", tmp_path / "log.json.gz")
    del made
    assert not lies_at.parent.exists()


def test_a_full_disk_is_said_and_not_raised(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    if not Path("/dev/full").exists():
        pytest.skip("no /dev/full")
    made = spool.TemporaryLog()
    made.path = Path("/dev/full")
    monkeypatch.setattr(spool, "TemporaryLog", lambda: made)
    monkeypatch.setattr(Path, "open", lambda path, *_: io.FileIO(path, "wb"))
    with pytest.raises(LogError, match="No space left") as caught:
        spool.spooled([b"x"], "log", 10, "more than")
    assert caught.value.code == "FT407"
    assert "TMPDIR" in caught.value.hint


def test_the_standard_input_is_read_by_a_dash(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", Piped(TEXT))
    made = opened("-")
    assert made.path.is_file()
    assert (made.label, made.name, made.given) == ("standard input", "", None)
    assert made.text == TEXT.decode()


def test_a_compressed_standard_input_is_expanded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "stdin", Piped(gzip.compress(TEXT)))
    assert len(read("-").train) == 3


@pytest.mark.parametrize(
    ("stdin", "code"),
    [(Piped(b""), "FT402"), (Piped(TEXT, terminal=True), "FT408"), (None, "FT401")],
)
def test_a_standard_input_without_a_log_is_refused(
    monkeypatch: pytest.MonkeyPatch, stdin: Piped | None, code: str
) -> None:
    monkeypatch.setattr(sys, "stdin", stdin)
    assert refused("-").code == code


def test_pipes_devices_and_sockets_are_refused_at_once(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(tmp_path / "pipe")
    with socket.socket(socket.AF_UNIX) as listening:
        monkeypatch.chdir(tmp_path)  # a socket's path must be short
        listening.bind("socket")
        for path in (tmp_path / "pipe", tmp_path / "socket", Path("/dev/zero"), Path("/dev/tty")):
            if path.exists():
                error = refused(path)
                assert error.code == "FT408"
                assert "-" in error.hint.split()
    assert refused(tmp_path).code == "FT408"


def test_a_file_that_became_a_pipe_is_not_waited_for(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    os.mkfifo(tmp_path / "log.json")
    regular = write(tmp_path, TEXT, "other.json").stat()
    monkeypatch.setattr(Path, "stat", lambda *_, **__: regular)
    assert refused(tmp_path / "log.json").code == "FT408"


def test_a_link_that_leads_to_itself_is_refused(tmp_path: Path) -> None:
    (tmp_path / "log.json").symlink_to(tmp_path / "log.json")
    assert refused(tmp_path / "log.json").code == "FT401"


def test_a_file_that_may_not_be_read_is_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = write(tmp_path, TEXT)

    def denied(*_: object) -> int:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(os, "open", denied)
    error = refused(path)
    assert error.code == "FT401"
    assert "Permission denied" in error.message


def test_a_file_of_many_that_cannot_be_opened_is_left_out_with_a_note(tmp_path: Path) -> None:
    first = write(tmp_path, TEXT, "a.json")
    second = write(tmp_path, gzip.compress(TEXT), "b.json.gz")
    os.mkfifo(tmp_path / "c.json")
    made = Source(first, files=[first, second, tmp_path / "c.json"])
    assert [path.read_bytes() for path in made.files] == [TEXT, TEXT]
    assert made.files[0] == first
    assert any("c.json" in note for note in made.notes)


@pytest.mark.parametrize(
    "encoding", ["utf-8", "utf-8-sig", "utf-16", "utf-16-le", "utf-16-be", "utf-32"]
)
def test_every_encoding_with_a_mark_or_with_zeros_reads_the_same(
    tmp_path: Path, encoding: str
) -> None:
    made = opened(write(tmp_path, (TEXT.decode() + "\n").encode(encoding)))
    assert made.text == TEXT.decode() + "\n"
    assert list(made.lines()) == [TEXT.decode()]


def test_lines_end_at_line_feeds_and_carriage_returns(tmp_path: Path) -> None:
    made = opened(write(tmp_path, b" 1%\r 2%\r\n\nloss 3\nlast"))
    assert list(made.lines()) == [" 1%", " 2%", "", "loss 3", "last"]


def test_a_line_without_end_comes_in_parts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "MAX_LINE", 10)
    made = opened(write(tmp_path, b"0123456789abc\nx\n"))
    assert list(made.lines()) == ["0123456789", "abc", "x"]


def test_a_file_beyond_the_limits_is_refused_whole_but_not_by_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(source, "MAX_BYTES", 10)
    made = opened(write(tmp_path, b"line\n" * 10))
    assert len(list(made.lines())) == 10
    with pytest.raises(LogError) as caught:
        _ = made.text
    assert caught.value.code == "FT407"
    monkeypatch.setattr(source, "MAX_STREAMED", 10)
    assert refused(tmp_path / "log.json").code == "FT407"


def test_a_file_that_shrinks_or_goes_while_it_is_read_is_no_traceback(tmp_path: Path) -> None:
    path = write(tmp_path, TEXT)
    made = opened(path)
    path.write_bytes(TEXT[:10])
    assert made.text == TEXT[:10].decode()
    path.unlink()
    with pytest.raises(LogError) as caught:
        list(made.lines())
    assert caught.value.code == "FT401"


def test_the_ending_of_a_compression_is_no_part_of_the_name() -> None:
    assert expanding.without_suffix("log.json.GZ") == "log.json"
    assert expanding.without_suffix("log.json") == "log.json"
