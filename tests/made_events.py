"""TensorBoard event files, made byte by byte: no part of the reader is used to write them."""

from __future__ import annotations

import struct
from collections.abc import Iterable
from pathlib import Path

START = 1_700_000_000.0
FLOAT, DOUBLE, INT32, STRING, INT64, BFLOAT16, HALF = 1, 2, 3, 7, 9, 14, 19


def varint(value: int) -> bytes:
    value &= (1 << 64) - 1
    out = bytearray()
    while value > 0x7F:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def field(number: int, content: bytes | int) -> bytes:
    """A field of a message: an integer as a varint, bytes with their length."""
    if isinstance(content, int):
        return varint(number << 3) + varint(content)
    return varint(number << 3 | 2) + varint(len(content)) + content


def crc32c(data: bytes) -> int:
    """CRC-32C, one bit after the other."""
    crc = 0xFFFFFFFF
    for byte in data:
        crc ^= byte
        for _ in range(8):
            crc = crc >> 1 ^ (0x82F63B78 if crc & 1 else 0)
    return crc ^ 0xFFFFFFFF


def masked(data: bytes) -> bytes:
    crc = crc32c(data)
    return struct.pack("<I", ((crc >> 15 | crc << 17) + 0xA282EAD8) & 0xFFFFFFFF)


def record(data: bytes) -> bytes:
    length = struct.pack("<Q", len(data))
    return length + masked(length) + data + masked(data)


def simple(tag: str, value: float) -> bytes:
    """A value as tensorboardX, torch and TensorFlow 1 write it."""
    return field(1, tag.encode()) + varint(2 << 3 | 5) + struct.pack("<f", value)


def tensor(tag: str, kind: int, content: bytes, number: int = 4, plugin: str = "scalars") -> bytes:
    """A value as TensorFlow 2 and Keras write it: a tensor, in the field `number` of it."""
    made = field(1, kind) + field(2, b"") + field(number, content)
    metadata = field(1, field(1, plugin.encode()))
    return field(1, tag.encode()) + field(9, metadata) + field(8, made)


def text(tag: str, content: str) -> bytes:
    """A text as `add_text` writes it."""
    made = field(1, STRING) + field(2, field(2, field(1, 1))) + field(8, content.encode())
    metadata = field(1, field(1, b"text"))
    return field(1, f"{tag}/text_summary".encode()) + field(9, metadata) + field(8, made)


def hyperparameters(values: dict[str, float | str | bool]) -> bytes:
    """The start of a session as `add_hparams` writes it."""
    entries = b""
    for name, value in values.items():
        if isinstance(value, bool):
            plain = field(4, int(value))
        elif isinstance(value, str):
            plain = field(3, value.encode())
        else:
            plain = varint(2 << 3 | 1) + struct.pack("<d", value)
        entries += field(1, field(1, name.encode()) + field(2, plain))
    content = field(3, entries)
    plugin = field(1, b"hparams") + field(2, content)
    return field(1, b"_hparams_/session_start_info") + field(9, field(1, plugin))


def event(step: int, *values: bytes, wall: float = START) -> bytes:
    """A record with an event; step 0 is left out, as proto3 does."""
    made = varint(1 << 3 | 1) + struct.pack("<d", wall)
    made += field(2, step) if step else b""
    return record(made + field(5, b"".join(field(1, value) for value in values)))


def session(step: int, wall: float = START) -> bytes:
    """The record with which a writer opened at `purge_step` begins."""
    made = varint(1 << 3 | 1) + struct.pack("<d", wall) + field(2, step)
    return record(made + field(7, field(1, 1)))


def version(wall: float = START) -> bytes:
    return record(varint(1 << 3 | 1) + struct.pack("<d", wall) + field(3, b"brain.Event:2"))


def name(second: int = 0, count: int = 0) -> str:
    return f"events.out.tfevents.{int(START) + second}.host.{100 + count}.{count}"


def write(path: Path, records: Iterable[bytes]) -> Path:
    """Write an event file, or the first of a folder when `path` is one."""
    path = path / name() if path.is_dir() else path
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(version() + b"".join(records))
    return path


def trainer_rows(steps: Iterable[int], per_epoch: int = 10, every: int = 10) -> list[bytes]:
    """What transformers writes: one event per number, evaluations at every `every` steps."""
    made: list[bytes] = []
    for step in steps:
        wall = START + step
        row = {"train/loss": 3.0 / step, "train/grad_norm": 1.0, "train/learning_rate": 1e-4}
        made += [event(step, simple(tag, value), wall=wall) for tag, value in row.items()]
        made.append(event(step, simple("train/epoch", step / per_epoch), wall=wall))
        if step % every == 0:
            made.append(event(step, simple("eval/loss", 3.5 / step), wall=wall + 0.5))
            made.append(event(step, simple("train/epoch", step / per_epoch), wall=wall + 0.5))
    return made
