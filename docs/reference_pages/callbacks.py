"""The callbacks of the trainer, for anyone's trainer."""

from __future__ import annotations

from reference_pages.api import described
from reference_pages.docstrings import as_markdown, named
from reference_pages.markdown import WRITTEN, fenced, page
from reference_pages.source import Item, file_of, imported, item, items

FOLDER = "ftadvise_trainer.callbacks"
_CALLBACKS = {"TrainerCallback", "EarlyStop", "LiveAdvice", "_Callback"}
# Functions that go with them.
_BESIDES = (
    ("ftadvise.annealing", "start_decay"),
    ("ftadvise_trainer.auto.schedule", "hold_then_decay"),
)


def pages() -> dict[str, str]:
    """Return the page of the callbacks by its path."""
    parts = [
        (
            "Each works in a `transformers.Trainer` of your own, and in what is built on it; those for "
            "Lightning and Keras say so. [How to use them](../how-to/stop-in-time.md)."
        ),
    ]
    for one in sorted(_found(), key=lambda one: ("advisor" not in one.module, one.module)):
        parts += [f"## {_title(one)}", fenced(f"from {one.module} import {one.name}", "python")]
        parts.append(_callback(one))
    for module, name in _BESIDES:
        parts += [f"## {name}", fenced(f"from {module} import {name}", "python")]
        parts.append(described(item(module, name)))
    return {"python-callbacks.md": page("Python API: callbacks", WRITTEN, *parts)}


def _found() -> list[Item]:
    names = (path.stem for path in sorted(file_of(FOLDER).parent.glob("*.py")))
    return [
        one
        for name in names
        if name != "__init__"
        for one in items(f"{FOLDER}.{name}")
        if one.is_class and _CALLBACKS & {*one.bases}
    ]


def _title(one: Item) -> str:
    kind = one.module.rpartition(".")[2]
    return f"{one.name} for {kind.capitalize()}" if kind in ("lightning", "keras") else one.name


def _callback(one: Item) -> str:
    """Return a callback: how it is made and what it does, not the events that it answers to."""
    parts = [as_markdown(one.doc)]
    above = {} if one.doc.entries.get("Attributes") else _attributes_above(one)
    if above:
        parts += ["**Attributes**", named(above)]
    if one.made is not None:
        parts += [fenced(one.signature, "python"), as_markdown(one.made)]
    return "\n\n".join(parts)


def _attributes_above(one: Item) -> dict[str, str]:
    """Return the attributes of the classes of ours that a callback is made of."""
    origin = imported(one.module)
    found: dict[str, str] = {}
    for base in one.bases:
        if origin.get(base, "").startswith("ftadvise"):
            found |= item(origin[base], base).doc.entries.get("Attributes", {})
    return found
