"""W&B offline files, made byte by byte: no part of the reader is used to write them."""

from __future__ import annotations

import json
import struct
import zlib
from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from made_events import field

from ftadvise.readers.source import Source
from ftadvise.run import Run
from ftadvise_plugins.wandb import files
from ftadvise_plugins.wandb.reader import READER

BLOCK = 32768
FULL, FIRST, MIDDLE, LAST = 1, 2, 3, 4


def fragment(kind: int, data: bytes) -> bytes:
    checksum = zlib.crc32(data, zlib.crc32(bytes([kind])))
    return struct.pack("<IHB", checksum, len(data), kind) + data


def items(values: Mapping[str, Any], number: int, nested: bool = False) -> bytes:
    """The items of a history, a configuration or a summary."""
    made = b""
    for name, value in values.items():
        key = (
            b"".join(field(2, part.encode()) for part in name.split("."))
            if nested
            else field(1, name.encode())
        )
        made += field(number, key + field(16, json.dumps(value).encode()))
    return made


def history(values: Mapping[str, Any], nested: bool = False) -> bytes:
    return field(1, 1) + field(2, items(values, 1, nested))


def config(values: Mapping[str, Any]) -> bytes:
    return field(5, items(values, 1))


def summary(values: Mapping[str, Any]) -> bytes:
    return field(3, items(values, 1))


def run(name: str, run_id: str = "a1b2c3d4", values: Mapping[str, Any] | None = None) -> bytes:
    made = field(1, run_id.encode()) + field(3, b"project")
    made += field(4, items(values, 1)) if values else b""
    return field(17, made + field(8, name.encode()))


def console(line: str) -> bytes:
    return field(13, field(3, line.encode()))


def framed(records: Iterable[bytes]) -> bytes:
    """The bytes of a file: its header, and records cut where a block ends."""
    out = bytearray(b":W&B\xe1\xbe\x00")
    for data in records:
        kind = FIRST
        while True:
            room = BLOCK - len(out) % BLOCK
            if room < 7:
                out += bytes(room)
                continue
            part, data = data[: room - 7], data[room - 7 :]
            whole = kind == FIRST and not data
            out += fragment(FULL if whole else kind if data else LAST, part)
            if not data:
                break
            kind = MIDDLE
    return bytes(out)


def write(path: Path, records: Iterable[bytes]) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(framed(records))
    return path


def trainer_rows(steps: Iterable[int], per_epoch: int = 10, every: int = 10) -> list[bytes]:
    """What transformers logs: one row per log, with `_step` counting the rows."""
    made: list[bytes] = []
    for step in steps:
        times = {"train/epoch": step / per_epoch, "train/global_step": step}
        for values in (
            {"train/loss": 3.0 / step, "train/learning_rate": 1e-4},
            {"eval/loss": 3.5 / step, "eval/runtime": 2.0},
        ):
            if "eval/loss" in values and step % every:
                continue
            own = {"_step": len(made), "_runtime": 1.5, "_timestamp": 1.7e9}
            made.append(history({**values, **times, **own}))
    return made


def run_of(path: Path) -> Run:
    """Return the one run that the reader finds in a file and what lies beside it."""
    runs = READER.read(Source(path, files=files.gather(path)))
    assert len(runs) == 1
    return runs[0]


def rows(values: list[dict[str, Any]]) -> list[bytes]:
    """Return the records of a history, counted from 0."""
    return [history({"_step": place, **row}) for place, row in enumerate(values)]
