"""Where the scalars lie in one event: the protocol buffer that a record of an event file holds.

Field numbers: tensorflow's `core/util/event.proto`, `core/framework/summary.proto`, `tensor.proto`
and `types.proto`.
"""

from __future__ import annotations

from dataclasses import dataclass, field

from ftadvise_plugins import protobuf
from ftadvise_plugins.protobuf import BYTES, FIXED32, FIXED64, VARINT, Field

MOST_SCALARS = 2048  # in one event
_START = 1  # SessionLog.SessionStatus
_STRING = 7  # DataType.DT_STRING
# Numbers in tensor_content, by DataType.
_CONTENT = {
    1: "<f4", 2: "<f8", 3: "<i4", 4: "|u1", 5: "<i2", 6: "|i1", 9: "<i8", 14: "bfloat16",
    17: "<u2", 19: "<f2", 22: "<u4", 23: "<u8",
}  # fmt: skip
# Numbers in the repeated fields of a TensorProto, by field: float_val, double_val and so on.
_FIXED = {5: "<f4", 6: "<f8"}
_VARINTS = {7: "int", 10: "int", 16: "uint", 17: "uint"}
_HALF = 13


@dataclass(frozen=True)
class Scalar:
    """One number in an event.

    Attributes:
        tag: Where its name stands.
        value: Where it stands.
        kind: A numpy type, or "int", "uint", "half" or "bfloat16 varint" for variable lengths.
    """

    tag: tuple[int, int]
    value: tuple[int, int]
    kind: str


@dataclass
class Event:
    """What an event has for us, by its places in the record.

    Attributes:
        wall: Where the time of writing begins (a double), -1 where there is none.
        step: Where the step stands, a varint; None for step 0.
        scalars: The numbers.
        texts: Names and contents of texts and of hyperparameters.
        starts: Whether a session starts here, so that later steps written earlier are void.
    """

    wall: int = -1
    step: tuple[int, int] | None = None
    scalars: list[Scalar] = field(default_factory=list[Scalar])
    texts: list[tuple[bytes, bytes]] = field(default_factory=list[tuple[bytes, bytes]])
    starts: bool = False


def parse(data: bytes) -> Event:
    """Return where things lie in an event.

    Raises:
        MalformedMessage: `data` is no event.
    """
    event = Event()
    for part in protobuf.fields(data):
        if part.number == 1 and part.wire == FIXED64:
            event.wall = part.start
        elif part.number == 2 and part.wire == VARINT:
            event.step = (part.start, part.end)
        elif part.number == 5 and part.wire == BYTES:
            for value in protobuf.fields(data, part.start, part.end):
                if value.number == 1 and value.wire == BYTES:
                    _value(data, value, event)
        elif part.number == 7 and part.wire == BYTES:
            event.starts = any(
                f.number == 1 and f.value == _START
                for f in protobuf.fields(data, part.start, part.end)
            )
    return event


def _value(data: bytes, place: Field, event: Event) -> None:
    tag: tuple[int, int] | None = None
    found: tuple[tuple[int, int], str] | None = None
    text: bytes | None = None
    for part in protobuf.fields(data, place.start, place.end):
        if part.number == 1 and part.wire == BYTES:
            tag = (part.start, part.end)
        elif part.number == 2 and part.wire == FIXED32:
            found, text = ((part.start, part.end), "<f4"), None
        elif part.number == 8 and part.wire == BYTES:
            found, text = _tensor(data, part)
        elif part.number == 9 and part.wire == BYTES:
            text = text or _plugin_content(data, part)
    if tag is None:
        return
    if found is not None and len(event.scalars) < MOST_SCALARS:
        event.scalars.append(Scalar(tag, *found))
    elif text is not None:
        event.texts.append((data[tag[0] : tag[1]], text))


def _tensor(data: bytes, place: Field) -> tuple[tuple[tuple[int, int], str] | None, bytes | None]:
    """Return where the one number of a tensor stands and its kind, or its one text."""
    kind = 0
    values: list[Field] = []
    for part in protobuf.fields(data, place.start, place.end):
        if part.number == 1 and part.wire == VARINT:
            kind = part.value
        elif part.number >= 4 and part.end > part.start:
            values.append(part)
            if len(values) > 1:
                return None, None
    if not values:
        return None, None
    value = values[0]
    if kind == _STRING and value.number == 8 and value.wire == BYTES:
        return None, data[value.start : value.end]
    how = _kind(data, value, kind)
    return (((value.start, value.end), how) if how else None), None


def _kind(data: bytes, value: Field, kind: int) -> str:
    """Return how one number is written in the field `value`, or "" when it is not one number."""
    size = value.end - value.start
    if value.number == 4:
        how = _CONTENT.get(kind, "")
        return how if how and size == width(how) else ""
    if value.number in _FIXED:
        how = _FIXED[value.number]
        return how if value.wire in (BYTES, FIXED32, FIXED64) and size == width(how) else ""
    if value.wire == BYTES and protobuf.varint(data, value.start, value.end)[1] != value.end:
        return ""
    if value.number == _HALF:
        return {14: "bfloat16 varint", 19: "half"}.get(kind, "")
    return _VARINTS.get(value.number, "")


def width(kind: str) -> int:
    """Return how many bytes a number of `kind` has, 0 where that differs."""
    return 2 if kind == "bfloat16" else int(kind[2:]) if kind[0] in "<|" else 0


def _plugin_content(data: bytes, place: Field) -> bytes | None:
    """Return what the hyperparameter plugin keeps in the metadata of a value."""
    for part in protobuf.fields(data, place.start, place.end):
        if part.number != 1 or part.wire != BYTES:
            continue
        name, content = b"", b""
        for inner in protobuf.fields(data, part.start, part.end):
            if inner.wire == BYTES and inner.number == 1:
                name = data[inner.start : inner.end]
            elif inner.wire == BYTES and inner.number == 2:
                content = data[inner.start : inner.end]
        if name == b"hparams" and content:
            return content
    return None
