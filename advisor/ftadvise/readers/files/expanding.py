"""Compressed logs as streams of plain bytes: gzip, zstd, bzip2 and xz, known by magic bytes.

Every stream is expanded in pieces, so that a small file cannot ask for much memory, and tells a
file that was cut off from one that is damaged.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import BinaryIO

PIECE = 64 * 1024
MAX_MEMORY = 128 * 1024 * 1024  # of a dictionary or window, whose size the file itself names
_SLICE = 1024

_MAGIC = {
    "gzip": b"\x1f\x8b\x08",
    "zstd": b"\x28\xb5\x2f\xfd",
    "xz": b"\xfd7zXZ\x00",
    "bzip2": b"BZh",
}
_SUFFIXES = (".gz", ".zst", ".zstd", ".xz", ".bz2")
_BZIP2_BLOCKS = (b"1AY&SY", b"\x17rE8P\x90")
ZSTD_PACKAGES = ("compression.zstd", "backports.zstd", "zstandard")


class MissingPackageError(Exception):
    """None of the packages that can expand the file is installed."""


class Decoder(Protocol):
    """What bz2, lzma and zstd offer alike."""

    @property
    def eof(self) -> bool:
        """Whether the end of the stream was reached."""
        ...

    @property
    def needs_input(self) -> bool:
        """Whether nothing more can be given without more bytes."""
        ...

    @property
    def unused_data(self) -> bytes:
        """What was put in beyond the end of the stream."""
        ...

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        """Take `data` in and return at most about `max_length` bytes."""
        ...


def compression_of(head: bytes) -> str:
    """Return how a file that begins with `head` is compressed, or ""."""
    found = next((name for name, magic in _MAGIC.items() if head.startswith(magic)), "")
    if found == "bzip2" and head[4:10] not in _BZIP2_BLOCKS:
        return ""
    return found


def without_suffix(name: str) -> str:
    """Return the name that the file had before it was compressed."""
    lower = name.lower()
    ending = next((suffix for suffix in _SUFFIXES if lower.endswith(suffix)), "")
    return name[: -len(ending)] if ending else name


def pieces(file: BinaryIO, compression: str) -> Iterator[bytes]:
    """Yield what `file` expands to, of one stream or of several in a row.

    Raises:
        EOFError: The file is cut off; everything before was given.
        MissingPackageError: It is zstd, and no package for that is installed.
        OSError: It cannot be read, or is damaged (bzip2).
        Exception: It is damaged; of what class depends on the compression.
    """
    make = _maker(compression)
    decoder = make()
    while True:
        data = b""
        ended = False
        if decoder.eof:
            data = decoder.unused_data
            while not (data := data.lstrip(b"\0")):  # padding between streams
                data = file.read(PIECE)
                if not data:
                    return
            decoder = make()
        elif decoder.needs_input:
            data = file.read(PIECE)
            ended = not data
        piece = decoder.decompress(data, PIECE)
        if piece:
            yield piece
        elif ended and not decoder.eof:
            raise EOFError


def _maker(compression: str) -> Callable[[], Decoder]:
    if compression == "gzip":
        return _Gzip
    if compression == "bzip2":
        import bz2

        return bz2.BZ2Decompressor
    if compression == "xz":
        import lzma

        return lambda: lzma.LZMADecompressor(memlimit=MAX_MEMORY)
    return _zstd()


def _zstd() -> Callable[[], Decoder]:
    for name in ZSTD_PACKAGES:
        try:
            package: Any = importlib.import_module(name)
        except ImportError:
            continue
        if name == "zstandard":
            context = package.ZstdDecompressor(max_window_size=MAX_MEMORY)
            return lambda: _Zstandard(context.decompressobj())
        options = {package.DecompressionParameter.window_log_max: MAX_MEMORY.bit_length() - 1}
        return lambda: package.ZstdDecompressor(options=options)
    raise MissingPackageError


class _Gzip:
    def __init__(self) -> None:
        import zlib

        self._inner = zlib.decompressobj(wbits=31)

    @property
    def eof(self) -> bool:
        return self._inner.eof

    @property
    def needs_input(self) -> bool:
        return not self._inner.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._inner.unused_data

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        return self._inner.decompress(self._inner.unconsumed_tail + data, max_length)


class _Zstandard:
    """The package `zstandard`, which bounds no output: so it is fed a little at a time.

    A block of 4 bytes can expand to 128 KiB, so a slice gives 32 MiB at the most.
    """

    def __init__(self, inner: Any) -> None:
        self._inner = inner
        self._data = b""
        self._at = 0

    @property
    def eof(self) -> bool:
        return bool(self._inner.eof)

    @property
    def needs_input(self) -> bool:
        return self._at >= len(self._data)

    @property
    def unused_data(self) -> bytes:
        return bytes(self._inner.unused_data) + self._data[self._at :]

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        if data:
            self._data, self._at = self._data[self._at :] + data, 0
        part = self._data[self._at : self._at + _SLICE]
        self._at += len(part)
        return bytes(self._inner.decompress(part)) if part else b""
