"""Google docstrings as Markdown."""

from __future__ import annotations

import inspect
import re
from dataclasses import dataclass, field

from reference_pages.markdown import bullets, prose

_HEADING = re.compile(r"(Args|Arguments|Attributes|Environment|Raises|Returns|Yields):")
_ENTRY = re.compile(r"(\*{0,2}[\w.]+(?:, [\w.]+)*): ?(.*)")
_WITH_ENTRIES = ("Args", "Attributes", "Environment", "Raises")


@dataclass(frozen=True)
class Docstring:
    """A docstring in its parts.

    Attributes:
        text: What stands outside of the sections.
        entries: By section, what is said of each name.
        texts: By section without names, such as `Returns`, what it says.
    """

    text: str = ""
    entries: dict[str, dict[str, str]] = field(default_factory=dict[str, dict[str, str]])
    texts: dict[str, str] = field(default_factory=dict[str, str])

    @property
    def summary(self) -> str:
        """The first paragraph, in one line."""
        return " ".join(self.text.partition("\n\n")[0].split())


def parsed(doc: str | None) -> Docstring:
    """Take a docstring apart."""
    text: list[str] = []
    sections: dict[str, list[str]] = {}
    current = text
    for line in inspect.cleandoc(doc or "").splitlines():
        heading = _HEADING.fullmatch(line)
        if heading:
            current = sections.setdefault(heading[1], [])
        elif line and not line.startswith(" ") and current is not text:
            current = text
            text += ["", line]
        else:
            current.append(line)
    bodies = {name: inspect.cleandoc("\n".join(["", *lines])) for name, lines in sections.items()}
    return Docstring(
        re.sub(r"\n{3,}", "\n\n", "\n".join(text)).strip(),
        {name: _entries(body) for name, body in bodies.items() if name in _WITH_ENTRIES},
        {name: body for name, body in bodies.items() if name not in _WITH_ENTRIES},
    )


def _entries(body: str) -> dict[str, str]:
    found: dict[str, list[str]] = {}
    name = ""
    for line in body.splitlines():
        entry = None if line.startswith(" ") else _ENTRY.fullmatch(line)
        if entry:
            name = entry[1]
            found[name] = [entry[2]]
        elif name:
            found[name].append(line.strip())
    return {name: "\n".join(lines).strip() for name, lines in found.items()}


def as_markdown(doc: Docstring, attributes: bool = True) -> str:
    """Return a docstring as Markdown.

    Args:
        doc: The docstring.
        attributes: Whether its section of attributes is part of it.
    """
    parts = [prose(doc.text)]
    for name, title in (("Args", "Arguments"), ("Attributes", "Attributes")):
        if doc.entries.get(name) and (attributes or name != "Attributes"):
            parts += [f"**{title}**", named(doc.entries[name])]
    for name in ("Returns", "Yields"):
        if name in doc.texts:
            parts.append(f"**{name}** {prose(doc.texts[name])}")
    if doc.entries.get("Raises"):
        parts += ["**Raises**", named(doc.entries["Raises"])]
    return "\n\n".join(part for part in parts if part)


def named(entries: dict[str, str]) -> str:
    """Return names with what is said of them, as a list."""
    return bullets(f"`{name}`: {prose(text)}" for name, text in entries.items())
