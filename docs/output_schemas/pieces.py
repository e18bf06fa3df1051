"""Pieces of a JSON Schema (draft 2020-12), and records made of dataclasses."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from reference_pages.source import Field, item

Schema = dict[str, Any]

DRAFT = "https://json-schema.org/draft/2020-12/schema"
_SIMPLE = {"str": "string", "int": "integer", "float": "number", "bool": "boolean"}
_TUPLE = re.compile(r"tuple\[(\w+), (\w+)\]")
_NO_VALUE = re.compile(r"\b(None|NaN)\b")  # what a docstring calls it, and JSON does not have
_MANY = re.compile(r"tuple\[(\w+), \.\.\.\]")


def value(kind: str, said: str = "", **more: Any) -> Schema:
    """Return a plain value.

    Args:
        kind: `string`, `number`, `integer` or `boolean`, with a `?` where it may be null.
        said: What it is.
        more: Further words of JSON Schema.
    """
    types: str | list[str] = [kind[:-1], "null"] if kind.endswith("?") else kind
    return {"type": types, **_said(said), **more}


def choice(*values: str, said: str = "") -> Schema:
    """Return one of several texts."""
    return {"enum": list(values), **_said(said)}


def probability(said: str = "", kind: str = "number") -> Schema:
    """Return a number from 0 to 1."""
    return value(kind, said, minimum=0, maximum=1)


def several(items: Schema, said: str = "", **more: Any) -> Schema:
    """Return a list."""
    return {"type": "array", **_said(said), "items": items, **more}


def pair(said: str = "", kind: str = "number", null: bool = False) -> Schema:
    """Return two numbers, the lower first."""
    made = several({"type": kind}, said, minItems=2, maxItems=2)
    return made | {"type": ["array", "null"]} if null else made


def mapping(values: Schema, said: str = "") -> Schema:
    """Return an object with any keys, and values of one kind."""
    return {"type": "object", **_said(said), "additionalProperties": values}


def anything(said: str = "") -> Schema:
    """Return what is not said more closely: another program's, or the settings of a run."""
    return {"type": "object", **_said(said)}


def record(
    properties: Mapping[str, Schema], said: str = "", optional: tuple[str, ...] = ()
) -> Schema:
    """Return an object with these keys and no other."""
    return {
        "type": "object",
        **_said(said),
        "additionalProperties": False,
        "required": [name for name in properties if name not in optional],
        "properties": dict(properties),
    }


def or_null(schema: Schema) -> Schema:
    """Return what may also be null."""
    inner = dict(schema)
    said = inner.pop("description", "")
    return {**_said(said), "anyOf": [inner, {"type": "null"}]}


def of(module: str, name: str, said: str | None = None, /, **instead: Schema) -> Schema:
    """Return a dataclass as a record: its fields, their types and what is said of them.

    Args:
        module: Where the class stands.
        name: Its name.
        said: What it is; by default the first paragraph of its docstring.
        instead: What to have in place of the schema that the type of a field gives. A description
            that is left out is that of the field.
    """
    one = item(module, name)
    made = {field.name: _described(field, instead.get(field.name)) for field in one.fields}
    unknown = instead.keys() - made.keys()
    if unknown:
        raise LookupError(f"{module}.{name} has no field {', '.join(sorted(unknown))}")
    return record(made, _NO_VALUE.sub("null", one.doc.summary) if said is None else said)


def document(
    name: str, title: str, properties: Mapping[str, Schema], optional: tuple[str, ...] = ()
) -> Schema:
    """Return the schema of a whole output, which names it in its key `schema`."""
    head = {"$schema": DRAFT, "$id": name, "title": title}
    return head | record({"schema": {"const": name}, **properties}, "", optional)


def source() -> Schema:
    """Return where a run was read from."""
    return record(
        {
            "path": value("string", "As it was given."),
            "format": value("string", "Name of the reader."),
            "run": value("string", "Name of the run in the file; empty when it holds one."),
        },
        "Where the run was read from.",
    )


def _described(field: Field, instead: Schema | None) -> Schema:
    made = instead if instead is not None else _of_type(field.type)
    said = _NO_VALUE.sub("null", " ".join(field.doc.split()))
    return made if "description" in made or not said else {"description": said, **made}


def _of_type(written: str) -> Schema:
    kind = written.removesuffix(" | None")
    null = kind != written
    if kind in _SIMPLE:
        return value(_SIMPLE[kind] + ("?" if null else ""))
    if two := _TUPLE.fullmatch(kind):
        return pair("", _SIMPLE[two[1]], null)
    if many := _MANY.fullmatch(kind):
        return several({"type": _SIMPLE[many[1]]})
    raise LookupError(f"no schema is known for the type {written!r}")


def _said(text: str) -> Schema:
    return {"description": text} if text else {}
