"""A page for every JSON Schema: the keys of an output, their types and meaning."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from output_schemas import file_name, schemas
from output_schemas.pieces import Schema
from output_schemas.training import SETTINGS

from reference_pages.markdown import WRITTEN, bullets, page, prose

_DEEPEST = 4


def pages() -> dict[str, str]:
    """Return the page of every schema by its path."""
    return {_path(name): _page(name, schema) for name, schema in _outputs().items()}


def summaries() -> dict[str, tuple[str, str]]:
    """Return path and title of each schema by its name."""
    return {name: (_path(name), str(schema["title"])) for name, schema in _outputs().items()}


def _outputs() -> dict[str, Schema]:
    """Return the schemas of what is written; the settings that are read have a page of their own."""
    return {name: schema for name, schema in schemas().items() if name != SETTINGS}


def _path(name: str) -> str:
    return f"outputs/{file_name(name).removesuffix('.schema.json')}.md"


def _page(name: str, schema: Schema) -> str:
    parts = [
        f"{prose(str(schema['title']))}. [JSON Schema](../../schemas/{file_name(name)}).",
        (
            "Strict JSON: numbers are finite, and what is not known is null. A key that is not listed "
            "here does not occur."
        ),
    ]
    variants: list[Schema] = schema.get("anyOf", [])
    if not variants:
        parts.append(bullets(_keys(schema)))
    for variant in variants:
        parts += [
            f"## {variant['description'].replace('`', '')}",
            bullets(_keys(_within(variant))),
        ]
    for key, inner in schema.get("$defs", {}).items():
        parts += [f"## {key}", bullets(_keys(inner))]
    return page(name, WRITTEN, *parts)


def _keys(schema: Schema, depth: int = 1) -> Iterator[str]:
    """Yield an item for each key of an object, with those within it set in."""
    required = schema.get("required", [])
    for key, one in schema.get("properties", {}).items():
        said = one.get("description", "")
        words = _type(one) + ("" if key in required else ", may be missing")
        line = f"`{key}`: {words}" + (f". {prose(said)}" if said else "")
        inner = list(_keys(_within(one), depth + 1)) if depth < _DEEPEST else []
        yield "\n".join([line, *(_set_in(text) for text in inner)])


def _set_in(text: str) -> str:
    return "  - " + text.replace("\n", "\n    ")


def _within(schema: Schema) -> Schema:
    """Return the object in a list, or in what may be null, or the schema itself."""
    if "items" in schema:
        return _within(schema["items"])
    if "anyOf" in schema:
        return _within(schema["anyOf"][0])
    more = schema.get("additionalProperties")
    if isinstance(more, dict) and "properties" in more:
        return schema | {"properties": more["properties"], "required": more["required"]}
    return schema


def _type(schema: Schema) -> str:
    if "const" in schema:
        return f"`{schema['const']}`"
    if "enum" in schema:
        return " or ".join(f"`{one}`" for one in schema["enum"])
    if "$ref" in schema:
        return f"as [below](#{schema['$ref'].rpartition('/')[2]})"
    if "anyOf" in schema:
        return f"{_type(schema['anyOf'][0])} or null"
    given: str | list[str] = schema["type"]
    kinds = [given] if isinstance(given, str) else given
    return " or ".join(_kind(kind, schema) for kind in kinds)


def _kind(kind: str, schema: dict[str, Any]) -> str:
    if kind == "array":
        size = "two" if schema.get("maxItems") == 2 else "a list of"
        inner = schema["items"]
        return f"{size} {_plural(inner)}"
    words = {
        "integer": "whole number",
        "null": "null",
        "boolean": "true or false",
        "string": "text",
    }
    return words.get(kind, kind)


def _plural(schema: Schema) -> str:
    if "$ref" in schema:
        return f"[entries](#{schema['$ref'].rpartition('/')[2]})"
    kind = schema.get("type")
    plurals = {
        "string": "texts",
        "number": "numbers",
        "integer": "whole numbers",
        "object": "objects",
    }
    return plurals[str(kind)]
