"""Functions and classes as their source says them, without importing what they need."""

from __future__ import annotations

import ast
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from reference_pages.docstrings import Docstring, parsed

ROOTS = tuple(Path(__file__).parents[2] / name for name in ("advisor", "trainer", "plugins"))
_WIDEST = 88  # columns of a signature in one line

Function = ast.FunctionDef | ast.AsyncFunctionDef


@dataclass(frozen=True)
class Field:
    """A field of a class: its name, type and default as written, and what is said of it."""

    name: str
    type: str
    default: str
    doc: str


@dataclass(frozen=True)
class Item:
    """A function or class.

    Attributes:
        name: Its name.
        module: The module it stands in.
        signature: How it is called.
        doc: Its docstring; for a class with an `__init__` that of the class.
        is_class: Whether it is one.
        bases: Names of the classes it is made of.
        fields: Of a dataclass.
        methods: Public methods and properties of a class, in order.
        property: Whether it is a property of its class.
        made: Docstring of `__init__`.
    """

    name: str
    module: str
    signature: str
    doc: Docstring
    is_class: bool = False
    bases: tuple[str, ...] = ()
    fields: tuple[Field, ...] = ()
    methods: tuple[Item, ...] = ()
    property: bool = False
    made: Docstring | None = None


def file_of(module: str) -> Path:
    """Return the file of one of our modules."""
    place = Path(*module.split("."))
    for root in ROOTS:
        for path in (root / place.with_suffix(".py"), root / place / "__init__.py"):
            if path.is_file():
                return path
    raise FileNotFoundError(module)


def items(module: str) -> list[Item]:
    """Return the public functions and classes of a module, in order."""
    body = ast.parse(file_of(module).read_text(encoding="utf-8")).body
    return [
        _item(node, module)
        for node in body
        if isinstance(node, Function | ast.ClassDef) and not node.name.startswith("_")
    ]


def item(module: str, name: str) -> Item:
    """Return a function or class of a module by its name."""
    for found in items(module):
        if found.name == name:
            return found
    raise LookupError(f"{module} has no {name}")


def imported(module: str) -> dict[str, str]:
    """Return where the names that a module imports come from, those for type checkers included."""
    tree = ast.parse(file_of(module).read_text(encoding="utf-8"))
    return {
        alias.asname or alias.name: node.module
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom) and node.module
        for alias in node.names
    }


def _item(node: Function | ast.ClassDef, module: str) -> Item:
    doc = parsed(ast.get_docstring(node))
    if isinstance(node, Function):
        is_property = "property" in "".join(map(ast.unparse, node.decorator_list))
        return Item(node.name, module, signature(node), doc, property=is_property)
    bases = tuple(ast.unparse(base) for base in node.bases)
    fields = tuple(_fields(node, doc)) if _is_dataclass(node) else ()
    functions = [child for child in node.body if isinstance(child, Function)]
    init = next((child for child in functions if child.name == "__init__"), None)
    methods = [_item(child, module) for child in functions if not child.name.startswith("_")]
    made = parsed(ast.get_docstring(init)) if init else None
    called = signature(init, node.name) if init else node.name
    return Item(
        node.name, module, called, doc, True, bases, fields, tuple(methods), made=made
    )  # fmt: skip


def _is_dataclass(node: ast.ClassDef) -> bool:
    return any("dataclass" in ast.unparse(one) for one in node.decorator_list)


def _fields(node: ast.ClassDef, doc: Docstring) -> Iterator[Field]:
    said = doc.entries.get("Attributes", {})
    for place, child in enumerate(node.body):
        if isinstance(child, ast.AnnAssign) and isinstance(child.target, ast.Name):
            name = child.target.id
            below = node.body[place + 1] if place + 1 < len(node.body) else None
            text = said.get(name, "") or _string(below)
            default = ast.unparse(child.value) if child.value else ""
            if not name.startswith("_"):
                yield Field(name, ast.unparse(child.annotation), default, text)


def _string(node: ast.stmt | None) -> str:
    if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant):
        return str(node.value.value)
    return ""


def signature(node: Function, called: str = "") -> str:
    """Return how a function is called, on one line where it fits, else a line for each argument.

    Args:
        node: The function.
        called: Its name where that is another: a class for its `__init__`, and then nothing is
            returned.
    """
    written = _arguments(node.args)
    returned = "" if called or node.returns is None else f" -> {ast.unparse(node.returns)}"
    name = called or node.name
    line = f"{name}({', '.join(written)}){returned}"
    if len(line) <= _WIDEST:
        return line
    lines = "".join(f"    {one},\n" for one in written)
    return f"{name}(\n{lines}){returned}"


def _arguments(given: ast.arguments) -> list[str]:
    plain = [*given.posonlyargs, *given.args]
    defaults: list[ast.expr | None] = [
        *[None] * (len(plain) - len(given.defaults)),
        *given.defaults,
    ]
    written = [_argument(a, d) for a, d in zip(plain, defaults, strict=True)]
    if plain and plain[0].arg in ("self", "cls"):
        written = written[1:]
    if given.vararg:
        written.append(f"*{_argument(given.vararg, None)}")
    elif given.kwonlyargs:
        written.append("*")
    keywords = zip(given.kwonlyargs, given.kw_defaults, strict=True)
    written += [_argument(a, d) for a, d in keywords]
    return [*written, *([f"**{_argument(given.kwarg, None)}"] if given.kwarg else [])]


def _argument(given: ast.arg, default: ast.expr | None) -> str:
    text = given.arg + (f": {ast.unparse(given.annotation)}" if given.annotation else "")
    if default is None:
        return text
    return f"{text}{' = ' if given.annotation else '='}{ast.unparse(default)}"


def names_in(texts: Sequence[str]) -> set[str]:
    """Return every name in annotations."""
    return {
        node.id
        for text in texts
        for node in ast.walk(ast.parse(text, mode="eval"))
        if isinstance(node, ast.Name)
    }


def constant(module: str, name: str) -> Any:
    """Return the value of a constant at the top of a module that is written out in it."""
    for node in ast.parse(file_of(module).read_text(encoding="utf-8")).body:
        if isinstance(node, ast.Assign) and any(ast.unparse(t) == name for t in node.targets):
            return ast.literal_eval(node.value)
    raise LookupError(f"{module} has no constant {name}")
