"""The data sets: pairs of a prompt and its answer, from rules, dictionaries, code and prose."""

from __future__ import annotations

import ast
import csv
import gettext
import random
import re
import subprocess
from datetime import date, timedelta
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING

from sources import man_page, package_index, read

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path


def debian(root: Path, kind: str) -> Iterator[tuple[str, str]]:
    """Package name -> description, or name and description -> tags or dependencies."""
    del root
    for fields in package_index():
        name, about = fields["Package"], fields.get("Description", "")
        if kind == "describe":
            yield name, about
        elif kind == "tags" and "Tag" in fields:
            yield f"{name}: {about}", " ".join(fields["Tag"].split())
        elif kind == "depends" and "Depends" in fields:
            names = re.sub(r" \([^)]*\)", "", fields["Depends"]).split(", ")
            yield f"{name}: {about}", ", ".join(sorted(set(names)))


def wordnet(root: Path) -> Iterator[tuple[str, str]]:
    """Word -> definition."""
    for part in ("noun", "verb", "adj"):
        for line in read(next((root / "wordnet-base").rglob(f"data.{part}"))).splitlines():
            if not line.startswith(" "):
                head, _, gloss = line.partition(" | ")
                yield head.split()[4].replace("_", " "), gloss.split('; "')[0].strip()


def manual(root: Path) -> Iterator[tuple[str, str]]:
    """Section and name of a manual page -> its one-line description."""
    for package in ("manpages", "manpages-dev", "perl-doc", "git", "coreutils"):
        for path in sorted((root / package).rglob("man/man*/*.gz")):
            if "/perl5" in str(path) or path.is_symlink():
                continue
            text = man_page(path)
            found = re.search(r"\bNAME\"?\n+(.+?) -+ (.+)", text)
            if found:
                yield f"{path.name.removesuffix('.gz')}: {found[1]}", found[2]


def _functions(root: Path) -> Iterator[tuple[str, ast.FunctionDef]]:
    for package in ("libpython3.11-minimal", "libpython3.11-stdlib"):
        for path in sorted((root / package).rglob("*.py")):
            if not path.is_symlink():
                for node in ast.walk(ast.parse(read(path))):
                    if isinstance(node, ast.FunctionDef):
                        yield f"def {node.name}({ast.unparse(node.args)}):", node


def python(root: Path, kind: str) -> Iterator[tuple[str, str]]:
    """Signature of a function -> its docstring, or its body."""
    for head, node in _functions(root):
        about = ast.get_docstring(node)
        if kind == "doc" and about:
            yield head, about.split("\n\n")[0]
        if kind == "body":
            body = node.body[1:] if about else node.body
            yield head, "\n".join(ast.unparse(part) for part in body)


def lisp(root: Path) -> Iterator[tuple[str, str]]:
    """Head of an Emacs Lisp function -> the first line of its documentation."""
    head = re.compile(
        r"^\((defun|defmacro) (\S+) (\([^)]*\))\s+\"((?:[^\"\\]|\\.)+)\"", re.MULTILINE
    )
    for path in sorted((root / "emacs-el").rglob("*.el.gz")):
        for found in head.finditer(read(path)):
            yield f"({found[1]} {found[2]} {found[3]}", found[4].split("\n")[0]


def messages(root: Path, language: str, names: tuple[str, ...]) -> Iterator[tuple[str, str]]:
    """Message of a program in English -> in another language."""
    for name in names:
        for path in sorted((root / name).rglob(f"{language}/LC_MESSAGES/*.mo")):
            with path.open("rb") as file:
                catalog = gettext.GNUTranslations(file)
            texts: dict[object, str] = vars(catalog)["_catalog"]
            for english, other in texts.items():
                if isinstance(english, str) and english and english != other:
                    yield english.replace("_", ""), other.replace("_", "")


def dictionary(root: Path) -> Iterator[tuple[str, str]]:
    """English word or phrase -> German."""
    text = read(next((root / "dict-freedict-eng-deu").rglob("*.dict.dz")))
    for found in re.finditer(r"^(\w[^/\n]*) /[^/\n]+/\n(\S[^<\[\n]*)", text, flags=re.MULTILINE):
        yield found[1], found[2].strip()


def quotes(root: Path) -> Iterator[tuple[str, str]]:
    """First half of a fortune -> the rest."""
    for package in ("fortunes", "fortunes-min"):
        for path in sorted((root / package).rglob("games/fortunes/*")):
            if path.suffix or path.name in ("ascii-art", "ethnic", "men-women", "politics"):
                continue
            for text in read(path).split("\n%\n"):
                words = text.split()
                if 12 <= len(words) <= 80:
                    cut = len(words) // 2
                    yield " ".join(words[:cut]), " ".join(words[cut:])


def verses(root: Path) -> Iterator[tuple[str, str]]:
    """Verse -> the next one."""
    folder = next((root / "bible-kjv-text").rglob("bible.data")).parent
    command = [str(next((root / "bible-kjv").rglob("usr/bin/bible"))), "-f", "gen1:1-rev22:21"]
    text = subprocess.run(command, cwd=folder, check=True, capture_output=True, text=True).stdout
    lines = [line.partition(" ") for line in text.splitlines()]
    for (_, _, one), (where, _, two) in pairwise(lines):
        yield f"{where} {one}", two


def sounds(root: Path) -> Iterator[tuple[str, str]]:
    """Spelling of a word -> its pronunciation."""
    text = read(next((root / "festlex-cmu").rglob("cmudict-0.4.out")))
    for word, rest in re.findall(r'^\("([^"]+)" \w+ \((.*)\)\)$', text, flags=re.MULTILINE):
        yield " ".join(word), " ".join(re.findall(r"[a-z]+", rest))


def numbers_of_makers(root: Path, kind: str) -> Iterator[tuple[str, str]]:
    """Prefix of network addresses -> owner; vendor and device of a PCI card -> name."""
    if kind == "oui":
        with next((root / "ieee-data").rglob("oui.csv")).open(encoding="utf-8") as file:
            for row in csv.DictReader(file):
                yield row["Assignment"], row["Organization Name"]
        return
    vendor = ""
    for line in read(next((root / "pci.ids").rglob("misc/pci.ids"))).splitlines():
        if re.match(r"[0-9a-f]{4}  ", line):
            vendor = line[6:]
        elif re.match(r"\t[0-9a-f]{4}  ", line):
            yield f"{vendor} {line[1:5]}", line[7:]


def characters(root: Path) -> Iterator[tuple[str, str]]:
    """Code point -> name of the character."""
    text = read(next((root / "unicode-data").rglob("UnicodeData.txt")))
    for line in text.splitlines():
        code, name, category = line.split(";")[:3]
        if not name.startswith(("<", "CJK")):
            yield f"U+{code} {category}", name.lower()


def made(root: Path, kind: str) -> Iterator[tuple[str, str]]:
    """Yield pairs that follow a rule: sums, dates, sorted words, reversed words."""
    del root
    draw = random.Random(kind)
    for _ in range(6000):
        if kind == "sums":
            one, two = draw.randrange(1000), draw.randrange(1000)
            yield f"{one} + {two} =", str(one + two)
        elif kind == "dates":
            day = date(1900, 1, 1) + timedelta(days=draw.randrange(60_000))
            after = day + timedelta(days=draw.randrange(1, 60))
            yield f"{(after - day).days} days after {day}", f"{after:%A, %d %B %Y}"
        else:
            letters = ["".join(draw.choices("abcdefghij", k=2)) for _ in range(draw.randint(3, 9))]
            yield " ".join(letters), " ".join(sorted(letters))


_APPS = ("gimp-data", "inkscape", "git", "gnucash-common", "coreutils")
DATA_SETS: dict[str, Callable[[Path], Iterator[tuple[str, str]]]] = {
    "debian-describe": partial(debian, kind="describe"),
    "debian-tags": partial(debian, kind="tags"),
    "debian-depends": partial(debian, kind="depends"),
    "wordnet": wordnet,
    "manual": manual,
    "python-doc": partial(python, kind="doc"),
    "python-body": partial(python, kind="body"),
    "emacs-lisp": lisp,
    "apps-german": partial(messages, language="de", names=_APPS),
    "apps-french": partial(messages, language="fr", names=_APPS),
    "places-spanish": partial(messages, language="es", names=("iso-codes",)),
    "words-german": dictionary,
    "fortunes": quotes,
    "verses": verses,
    "sounds": sounds,
    "oui": partial(numbers_of_makers, kind="oui"),
    "pci": partial(numbers_of_makers, kind="pci"),
    "unicode": characters,
    "sums": partial(made, kind="sums"),
    "dates": partial(made, kind="dates"),
    "sorting": partial(made, kind="sorting"),
}
