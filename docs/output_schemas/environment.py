"""What `ftadvise env` writes as JSON."""

from __future__ import annotations

from collections.abc import Iterator

from ftadvise.environment import SCHEMA as ENV
from output_schemas.pieces import Schema, document, mapping, record, several, value

_TEXTS = {"type": "string"}


def schemas() -> Iterator[Schema]:
    """Yield the schema."""
    yield document(ENV, "Output of `ftadvise env --format json`", _env(), ("torch",))


def _env() -> dict[str, Schema]:
    text_or_why = {"type": ["string", "null"]}
    plugin = {
        "name": value("string", "Name of the entry point."),
        "version": value("string", "Of the distribution."),
        "error": value("string", "Why it is not in use; empty when all is well."),
    }
    return {
        "ftadvise": record(
            {"version": value("string", "Of ftadvise."), "path": value("string", "Where it lies.")}
        ),
        "python": record(
            {
                "version": value("string", "Of Python."),
                "implementation": value("string", "Such as CPython."),
                "path": value("string", "Of its program."),
            }
        ),
        "system": record(
            {
                "platform": value("string", "System and version."),
                "machine": value("string", "Kind of processor."),
                "cpus": value("integer?", "Cores that this process may use."),
            }
        ),
        "packages": mapping(text_or_why, "Versions by name; null where one is not installed."),
        "devices": record(
            {
                "driver": {
                    "description": "What nvidia-smi says of each device, or why nothing.",
                    "type": ["array", "string"],
                    "items": _TEXTS,
                },
                "visible": mapping(_TEXTS, "Variables that hide devices."),
            }
        ),
        "plugins": {
            "description": "Those of others, or why they cannot be told.",
            "type": ["array", "string"],
            "items": record(plugin),
        },
        "variables": mapping(_TEXTS, "Our environment variables that are set."),
        "history": record(
            {
                "path": value("string?", "Where it lies."),
                "kept": value("boolean", "Whether one is kept."),
                "bytes": value("integer?", "Its size; null where there is none yet."),
                "error": value("string", "Why that is not known."),
            },
            optional=("error",),
        ),
        "torch": record(
            {
                "version": value("string", "Of torch."),
                "cuda": value("string?", "Version of CUDA it was built with."),
                "hip": value("string?", "Version of HIP it was built with."),
                "available": value("boolean", "Whether there is a device."),
                "bf16": value("boolean", "Whether it knows bfloat16."),
                "devices": several(_TEXTS, "Their names."),
                "error": value("string", "Why torch cannot be loaded; alone then."),
            },
            "With `--full`: what torch says.",
            ("version", "cuda", "hip", "available", "bf16", "devices", "error"),
        ),
    }
