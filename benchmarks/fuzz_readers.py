"""Fuzzes one reader, or all in turn, and keeps what breaks it as a regression test.

    python benchmarks/fuzz_readers.py --reader NAME|all --minutes M [--seed N] [--plain]

Starts from the good logs in tests/readers/good/NAME. With atheris installed the search follows
the branches of the code that it reaches; else, or with --plain, seeded mutations are tried. What
ends in anything but runs or a FtadviseError, takes more than 5 s per 100 kB, or makes the process
grow by more than 300 MB, goes to tests/readers/regressions/NAME, which a test runs through every
reader ever after.
"""

from __future__ import annotations

import argparse
import hashlib
import importlib
import importlib.util
import os
import random
import resource
import shutil
import subprocess
import sys
import tempfile
import time
import traceback
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

ROOT = Path(__file__).resolve().parent.parent
sys.path[:0] = [str(ROOT / part) for part in ("advisor", "plugins", "tests")]

MAX_GROWTH = 300 * 1024  # KiB
MAX_LENGTH = 16 * 1024


@dataclass
class Findings:
    """What came out so far.

    Attributes:
        reader: Name of the reader.
        executions: Inputs tried.
        read: Inputs that gave runs.
        kept: Inputs that broke the reader, and how.
        peak: The most memory that the process took, in KiB.
    """

    reader: str
    executions: int = 0
    read: int = 0
    kept: dict[str, str] = field(default_factory=dict[str, str])
    peak: int = 0
    began: float = field(default_factory=time.monotonic)

    def told(self, how: str) -> int:
        """Print the line of the reader; return 1 when something broke it."""
        took = time.monotonic() - self.began
        print(
            f"{self.reader:<20} {how} {self.executions:>9,} inputs in {took:.0f} s, "
            f"{self.read:,} read, peak {self.peak / 1024:.0f} MB, {len(self.kept)} broke it",
            flush=True,
        )
        return 1 if self.kept else 0

    def keep(self, content: bytes, why: str) -> None:
        """Keep an input, one for each place in the code that fails."""
        if why in self.kept.values():
            return
        folder = _damage().REGRESSIONS / self.reader
        folder.mkdir(parents=True, exist_ok=True)
        name = hashlib.sha256(content).hexdigest()[:16] + ".bin"
        (folder / name).write_bytes(content)
        self.kept[name] = why
        print(f"{self.reader}: {name}: {why}", flush=True)


def _damage() -> Any:
    """Return the module of the tests that damages logs."""
    return importlib.import_module("made_damage")


def main() -> int:
    """Fuzz, print one line per reader, and return 1 when anything broke."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--reader", required=True)
    parser.add_argument("--minutes", type=float, default=1.0)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--plain", action="store_true", help="never use atheris")
    parser.add_argument("--inside", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args()
    if options.inside:
        return _fuzz(options.reader, options.minutes, options.seed, options.plain)
    known: dict[str, Any] = _damage().readers()
    names = sorted(known) if options.reader == "all" else [options.reader]
    broken = 0
    for name in names:
        if name not in known:
            print(f"no reader is called {name}: {', '.join(sorted(known))}", file=sys.stderr)
            return 2
        if not _damage().good_logs(name):
            print(f"{name}: no good log in {_damage().GOOD / name}", flush=True)
        # In a process of its own, which may run out of memory or be killed.
        arguments = ["--reader", name, "--minutes", str(options.minutes), "--seed",
                     str(options.seed), "--inside", *(["--plain"] if options.plain else [])]  # fmt: skip
        done = subprocess.run([sys.executable, __file__, *arguments], check=False)
        broken += done.returncode != 0
    return 1 if broken else 0


def _fuzz(name: str, minutes: float, seed: int, plain: bool) -> int:
    findings = Findings(name)
    until = time.monotonic() + 60 * minutes
    with tempfile.TemporaryDirectory() as folder:
        if plain or importlib.util.find_spec("atheris") is None:
            return _unguided(findings, Path(folder), until, seed)
        return _guided(findings, Path(folder), until, seed)


def _unguided(findings: Findings, folder: Path, until: float, seed: int) -> int:
    chance = random.Random(seed)
    good = _damage().good_logs(findings.reader) or [Path(__file__)]
    while time.monotonic() < until:
        _try(findings, _damage().damaged(chance.choice(good), chance, folder))
    return findings.told("mutations")


def _guided(findings: Findings, folder: Path, until: float, seed: int) -> int:
    atheris: Any = importlib.import_module("atheris")
    with atheris.instrument_imports(include=["ftadvise"]):
        damage = _damage()
        damage.readers()  # instrumented while they are imported
    corpus = folder / "corpus"
    corpus.mkdir()
    logs: list[Path] = damage.good_logs(findings.reader)
    files = [p for path in logs for p in (path, *path.rglob("*")) if p.is_file()]
    for number, file in enumerate(files):
        (corpus / str(number)).write_bytes(file.read_bytes())
    place, chance = folder / "log", random.Random(seed)

    def one(content: bytes) -> None:
        if time.monotonic() > until:  # libFuzzer ends in no other way
            code = findings.told("atheris")
            shutil.rmtree(folder)
            os._exit(code)
        place.write_bytes(content)
        _try(findings, place)

    def mutate(content: bytes, limit: int, chosen: int) -> bytes:
        if chosen % 2:
            return bytes(atheris.Mutate(content, limit))
        chance.seed(chosen)
        return bytes(damage.mutated(content, chance)[:limit])

    settings = [f"-max_len={MAX_LENGTH}", f"-seed={seed + 1}", "-verbosity=0", "-timeout=600",
                "-rss_limit_mb=4000", f"-artifact_prefix={folder}/"]  # fmt: skip
    atheris.Setup([sys.argv[0], *settings, str(corpus)], one, custom_mutator=mutate)
    atheris.Fuzz()
    return 0


def _try(findings: Findings, path: Path) -> None:
    """Give an input to the reader and keep it where that goes wrong."""
    from ftadvise.errors import FtadviseError

    damage = _damage()
    findings.executions += 1
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    why = ""
    try:
        findings.read += bool(damage.read_with(damage.readers()[findings.reader], path))
    except FtadviseError as error:
        if not error.message.isprintable():
            why = f"message {error.message!r}"
    except damage.HangError as error:
        why = str(error)
    except Exception as error:  # noqa: BLE001 - what this looks for
        last = traceback.extract_tb(error.__traceback__)[-1]
        why = f"{type(error).__name__} in {Path(last.filename).name}:{last.lineno}: {error}"
        why = why[:200]
    findings.peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    if not why and findings.executions > 10 and findings.peak - before > MAX_GROWTH:
        why = f"takes {(findings.peak - before) / 1024:.0f} MB"
    if why and path.is_file():
        findings.keep(path.read_bytes(), why)
    elif why:
        for file in sorted(p for p in path.rglob("*") if p.is_file()):
            findings.keep(file.read_bytes(), f"{file.name}: {why}")


if __name__ == "__main__":
    raise SystemExit(main())
