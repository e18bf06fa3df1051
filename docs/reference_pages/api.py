"""The Python API: functions and classes with their signatures, fields and docstrings."""

from __future__ import annotations

import inspect

import ftadvise
import ftadvise.history
import ftadvise.testing
from reference_pages.docstrings import as_markdown
from reference_pages.markdown import WRITTEN, anchor, bullets, fenced, page, prose
from reference_pages.source import Field, Item, imported, item, names_in

# What the fields of public objects hold, in the order in which one meets them.
_WITHIN = (
    ("ftadvise.run", "LearningRates"),
    ("ftadvise.run", "Settings"),
    ("ftadvise.run", "Source"),
    ("ftadvise.advice", "Observed"),
    ("ftadvise.advice", "Overfitting"),
    ("ftadvise.advice", "Recommendation"),
    ("ftadvise.advice", "Keep"),
    ("ftadvise.advice", "Scenario"),
    ("ftadvise.advice", "EpochForecast"),
    ("ftadvise.rules.case", "Finding"),
)


def pages() -> dict[str, str]:
    """Return the pages of the advisor's API by path."""
    return {
        "python.md": _advisor(),
        "python-history.md": _room(ftadvise.history, "Python API: history"),
        "testing.md": _room(ftadvise.testing, "Python API: testing plugins"),
    }


def _advisor() -> str:
    found = _public(ftadvise)
    functions = [one for one in found if not one.is_class]
    classes = [one for one in found if one.is_class]
    parts = [_module_doc(ftadvise), "## Functions", _linked([*_names(functions), "hookimpl"])]
    known = frozenset([*_names(classes), *(name for _, name in _WITHIN)])
    for one in functions:
        parts += [f"### {one.name}", described(one)]
    parts += [
        "### hookimpl",
        (
            "Marks a function of a plugin as the implementation of a hook: `@ftadvise.hookimpl`. "
            "[The hooks](README.md#hooks)."
        ),
        "## Objects",
        _linked(_names(classes)),
    ]
    for one in classes:
        parts += [f"### {one.name}", described(one, known)]
    parts += ["## Within these objects", _linked([name for _, name in _WITHIN])]
    for module, name in _WITHIN:
        parts += [f"### {name}", f"From `{module}`.", described(item(module, name), known)]
    return page("Python API", WRITTEN, *parts)


def _room(module: object, title: str) -> str:
    parts = [_module_doc(module)]
    for one in _public(module):
        parts += [f"## {one.name}", described(one)]
    return page(title, WRITTEN, *parts)


def _names(found: list[Item]) -> list[str]:
    return [one.name for one in found]


def _linked(names: list[str]) -> str:
    return ", ".join(f"[{name}](#{anchor(name)})" for name in names) + "."


def _module_doc(module: object) -> str:
    """Return the docstring of a module; its code is Python."""
    paragraphs = inspect.cleandoc(module.__doc__ or "").split("\n\n")
    parts: list[str] = []
    block: list[str] = []
    for paragraph in [*paragraphs, ""]:
        if paragraph.startswith("    "):
            block.append(inspect.cleandoc("\n" + paragraph))
            continue
        if block:
            parts.append(fenced(_spaced(block), "python"))
            block = []
        parts.append(prose(paragraph))
    return "\n\n".join(part for part in parts if part)


def _spaced(block: list[str]) -> str:
    """Return pieces of code with the blank lines that a formatter puts before a function."""
    return "".join(("\n\n\n" if one.startswith("def ") else "\n\n") + one for one in block).strip()


def _public(module: object) -> list[Item]:
    """Return the functions and classes that a module names in `__all__`."""
    found: list[Item] = []
    for name in getattr(module, "__all__"):  # noqa: B009 - any module
        value = getattr(module, name)
        if inspect.isfunction(value) or inspect.isclass(value):
            found.append(item(value.__module__, value.__name__))
    return found


def described(one: Item, known: frozenset[str] = frozenset()) -> str:
    """Return a function or class as Markdown, without a heading.

    Args:
        one: The function or class.
        known: Names that have a heading on the same page; types are linked to them.
    """
    if not one.is_class:
        return "\n\n".join([fenced(one.signature, "python"), as_markdown(one.doc)])
    parts = [as_markdown(one.doc, attributes=not one.fields)]
    if one.made is not None:
        parts = [
            fenced(one.signature, "python"),
            *parts,
            as_markdown(one.made) if one.made.entries else "",
        ]
    elif one.name.endswith("Error"):
        parts.append("".join(f"A `{base}`." for base in one.bases))
    methods = [*one.methods, *inherited(one)]
    properties = [f"`{m.name}`: {prose(m.doc.summary)}" for m in methods if m.property]
    attributes = [*(_field(field, known - {one.name}) for field in one.fields), *properties]
    if attributes:
        parts += ["**Attributes**", bullets(attributes)]
    called = [f"`{_line(m.signature)}`: {prose(m.doc.summary)}" for m in methods if not m.property]
    if called:
        parts += ["**Methods**", bullets(called)]
    return "\n\n".join(part for part in parts if part)


def inherited(one: Item) -> list[Item]:
    """Return the public methods of classes of ours that a class is made of."""
    origin = imported(one.module)
    return [
        method
        for base in one.bases
        if origin.get(base, "").startswith("ftadvise")
        for above in [item(origin[base], base)]
        for method in [*above.methods, *inherited(above)]
    ]


def _field(one: Field, known: frozenset[str]) -> str:
    default = "" if not one.default or "field(" in one.default else f" = {one.default}"
    said = f": {prose(one.doc)}" if one.doc else ""
    links = ", ".join(
        f"[{name}](#{anchor(name)})" for name in sorted(names_in([one.type]) & known)
    )
    return f"`{one.name}: {_line(one.type)}{default}`{f' ({links})' if links else ''}{said}"


def _line(text: str) -> str:
    return " ".join(text.split()).replace("( ", "(").replace(", )", ")")
