"""What `ftadvise plugins` writes as JSON."""

from __future__ import annotations

from collections.abc import Iterator

from output_schemas.pieces import Schema, document, mapping, record, several, value

_TEXTS = {"type": "string"}


def schemas() -> Iterator[Schema]:
    """Yield the schemas."""
    yield document(
        "ftadvise.plugins/1",
        "Output of `ftadvise plugins --format json`",
        {"plugins": several(_plugin(), "All plugins, our own first.")},
    )
    yield document(
        "ftadvise.plugins.new/1",
        "Output of `ftadvise plugins new --format json`",
        {
            "name": value("string", "Name of the plugin."),
            "kind": value("string", "What it adds."),
            "path": value("string", "The folder that was made."),
            "files": several(_TEXTS, "The files in it."),
        },
    )
    yield document(
        "ftadvise.plugins.check/1",
        "Output of `ftadvise plugins check --format json`",
        {"plugins": several(_checked(), "Those that were checked.")},
    )


def _plugin() -> Schema:
    return record(
        {
            "name": value("string", "Name of the entry point, or of the module for our own."),
            "version": value("string", "Of the distribution it comes from; empty when unknown."),
            "distribution": value("string", "Name of that; empty when unknown."),
            "third_party": value("boolean", "Whether it comes through an entry point."),
            "hooks": several(_TEXTS, "Names of the hooks it implements."),
            "gives": mapping(several(_TEXTS), "Names of what it adds, by kind."),
            "error": value("string", "Why it is not in use; empty when all is well."),
            "notes": several(_TEXTS, "What else is wrong with it."),
            "load_ms": value("number", "Milliseconds that its import took.", minimum=0),
        }
    )


def _checked() -> Schema:
    check = {
        "kind": value("string", "`plugin`, or what it adds: `reader`, `law`, `rule` and so on."),
        "name": value("string", "Name of the thing; its code for a rule."),
        "ok": value("boolean", "Whether it keeps its promises."),
        "problem": value("string", "The promise that it breaks; empty when it keeps them all."),
        "note": value("string", "What could not be checked, and how it can be."),
    }
    return record(
        {
            "name": value("string", "Name of the plugin."),
            "version": value("string", "Of the distribution; empty when unknown."),
            "checks": several(record(check), "One for each thing that it adds."),
        }
    )
