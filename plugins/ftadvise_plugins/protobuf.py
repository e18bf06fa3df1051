"""The wire format of protocol buffers, as far as logs need it: fields, without a schema.

Source: https://protobuf.dev/programming-guides/encoding. Nothing is copied before it is asked for,
and no length is believed before it is compared with the bytes that are there.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterator

VARINT, FIXED64, BYTES, FIXED32 = 0, 1, 2, 5


class MalformedMessage(ValueError):
    """Bytes that are no protocol buffer message."""


class Field(NamedTuple):
    """A field where it stands in the bytes.

    Attributes:
        number: Number of the field in its message.
        wire: How it is written: `VARINT`, `FIXED64`, `BYTES` or `FIXED32`.
        start: Where its value begins (after the length, for `BYTES`).
        end: Where it ends.
        value: The number of a `VARINT`, without its sign; 0 for the others.
    """

    number: int
    wire: int
    start: int
    end: int
    value: int


def fields(data: bytes | memoryview, start: int = 0, end: int | None = None) -> Iterator[Field]:
    """Yield the fields of the message in `data[start:end]`, in their order.

    Raises:
        MalformedMessage: A field reaches over the end, or is of a kind that does not exist.
    """
    end = len(data) if end is None else end
    place = start
    while place < end:
        key, place = varint(data, place, end)
        wire, value, begin = key & 7, 0, place
        if wire == VARINT:
            value, place = varint(data, place, end)
        elif wire == BYTES:
            size, begin = varint(data, place, end)
            place = begin + size
        elif wire == FIXED32:
            place += 4
        elif wire == FIXED64:
            place += 8
        else:  # groups, which proto3 does not have
            raise MalformedMessage(f"wire type {wire} at byte {begin}")
        if place > end:
            raise MalformedMessage(f"field {key >> 3} reaches over the end")
        yield Field(key >> 3, wire, begin, place, value)


def varint(data: bytes | memoryview, place: int, end: int) -> tuple[int, int]:
    """Return the number that begins at `place`, from 0 to 2^64 - 1, and where it ends.

    Raises:
        MalformedMessage: It does not end before `end`, or is longer than ten bytes.
    """
    value = shift = 0
    while place < end and shift < 70:
        byte = data[place]
        place += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value & 0xFFFF_FFFF_FFFF_FFFF, place
        shift += 7
    raise MalformedMessage(f"a number without an end at byte {place}")
