"""Debian packages that the texts come from: fetches them and reads the plain text out of them."""

from __future__ import annotations

import gzip
import html
import re
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

# Debian 12 (bookworm), main. What comes of each stands in README.md, with licences.
PACKAGES = (
    "bible-kjv",
    "bible-kjv-text",
    "coreutils",
    "debian-handbook",
    "debian-policy",
    "dict-freedict-eng-deu",
    "dict-gcide",
    "emacs-el",
    "festlex-cmu",
    "fortunes",
    "fortunes-min",
    "gimp-data",
    "git",
    "gnucash-common",
    "ieee-data",
    "inkscape",
    "iso-codes",
    "libpython3.11-minimal",
    "libpython3.11-stdlib",
    "manpages",
    "manpages-dev",
    "pci.ids",
    "perl-doc",
    "postgresql-doc-15",
    "python3.11-doc",
    "unicode-data",
    "vim-runtime",
    "wordnet-base",
    "zsh-doc",
)

_TAG = re.compile(r"<[^>]+>")
_HEAD = re.compile(r"(?is)<(head|script|style)\b.*?</\1>")
_ROFF = re.compile(r"\\f.|\\&|\\\(..|\\[|^]")


def fetch(folder: Path) -> None:
    """Download and unpack every package that is not there yet: FOLDER/NAME/usr/..."""
    folder.mkdir(parents=True, exist_ok=True)
    for name in PACKAGES:
        if (folder / name).is_dir():
            continue
        if not list(folder.glob(f"{name}_*.deb")):
            subprocess.run(["apt-get", "download", name], cwd=folder, check=True)
        deb = next(folder.glob(f"{name}_*.deb"))
        subprocess.run(["dpkg-deb", "-x", str(deb), str(folder / name)], check=True)


def package_index() -> list[dict[str, str]]:
    """Return the stanzas of apt's index of bookworm main, as field -> value."""
    file = next(Path("/var/lib/apt/lists").glob("*_dists_bookworm_main_binary-*_Packages*"))
    command = ["/usr/lib/apt/apt-helper", "cat-file", str(file)]
    text = subprocess.run(command, check=True, capture_output=True).stdout.decode()
    return [
        dict(re.findall(r"^([A-Z][\w-]+): ?((?:.*)(?:\n .*)*)", stanza, flags=re.MULTILINE))
        for stanza in text.split("\n\n")
        if stanza.strip()
    ]


def read(path: Path) -> str:
    """Return the text of a file, unpacked if its name says so."""
    raw = path.read_bytes()
    if path.suffix in (".gz", ".dz"):
        raw = gzip.decompress(raw)
    try:
        return raw.decode()
    except UnicodeDecodeError:
        return raw.decode("latin-1")


def man_page(path: Path) -> str:
    """Return a manual page without its markup: good enough to learn from."""
    lines = [line for line in read(path).splitlines() if not line.startswith(('.\\"', '\\"', "'"))]
    bare = (re.sub(r"^\.[A-Za-z]+ ?", "", line).strip('" ') for line in lines)
    return _ROFF.sub("", "\n".join(bare)).replace("\\-", "-").replace("\\", "")


def _bare_html(text: str) -> str:
    text = html.unescape(_TAG.sub("", _HEAD.sub("", text)))
    return re.sub(r"\n\s*\n+", "\n\n", text)


def plain_texts(root: Path) -> Iterator[str]:
    """Yield the documents of the pre-training pool; none holds an answer of the data sets."""
    for path in sorted((root / "python3.11-doc").rglob("_sources/**/*.rst.txt")):
        yield read(path)
    for path in sorted((root / "perl-doc").rglob("*.pod")):
        yield read(path)
    for path in sorted((root / "vim-runtime").rglob("doc/*.txt")):
        yield read(path)
    for path in sorted((root / "debian-policy").rglob("*.txt.gz")):
        yield read(path)
    books = sorted((root / "debian-handbook").rglob("html/en-US/*.html"))
    books += sorted((root / "postgresql-doc-15").rglob("*.html"))
    books += sorted((root / "zsh-doc").rglob("*.html"))
    for path in books:
        yield _bare_html(read(path))
    gcide = read(next((root / "dict-gcide").rglob("gcide.dict.dz")))
    gcide = re.sub(r" *\[(?:1913 Webster|PJC|WordNet 1\.5)[^]]*\]\n?", "", gcide)
    yield from (gcide[at : at + 20_000] for at in range(0, 14_000_000, 20_000))
