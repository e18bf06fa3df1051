"""JSON Schemas of what the commands write, from the code where it says what there is."""

from __future__ import annotations

from output_schemas import advising, environment, listings, plugins, progress, training
from output_schemas.pieces import Schema

MADE = (advising, listings, progress, plugins, environment, training)


def schemas() -> dict[str, Schema]:
    """Return every schema by its name, such as `ftadvise.advice/1`."""
    return {str(one["$id"]): one for module in MADE for one in module.schemas()}


def file_name(name: str) -> str:
    """Return the name of a schema's file in docs/schemas."""
    return f"{name.removeprefix('ftadvise.').replace('/', '-')}.schema.json"
