"""The code blocks of a page: what they are, what they show, and how they are to be run.

A comment of HTML on the line above a block says how, and is not seen by readers:

    <!-- not run: REASON -->       it cannot run here
    <!-- runs in: TEST -->         another test runs it, or compares it
    <!-- system -->                only with `-m system`: it trains, or imports torch or transformers
    <!-- before: COMMANDS -->      what the page takes for granted, for a shell block
    <!-- given: NAME -->           the same for a Python block: a function of doc_givens.py
    <!-- needs: PROGRAM -->        skipped where the program is missing
"""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path

ROOT = Path(__file__).parent.parent
FENCE = re.compile(
    r"^(?P<comments>(?:<!--(?:(?!-->).)*-->\n)*)(?P<indent> *)```(?P<language>\w*)\n"
    r"(?P<code>.*?)^(?P=indent)```$",
    re.MULTILINE | re.DOTALL,
)
COMMENT = re.compile(
    r"<!--\s*(not run|runs in|system|before|given|needs)(?::\s*(.*?))?\s*-->", re.DOTALL
)


@dataclass(frozen=True)
class Block:
    """A fenced block of a page."""

    page: Path
    line: int
    """Where its code begins, counted from 1."""
    language: str
    code: str
    marks: dict[str, str]
    """The comments above it, by their first word."""

    @property
    def name(self) -> str:
        """Where it stands."""
        return f"{self.page.relative_to(ROOT)}:{self.line}"

    @property
    def aside(self) -> str:
        """Why it is not run here, or where it is; empty for a block that is to be run."""
        return self.marks.get("not run", "") or self.marks.get("runs in", "")


@dataclass(frozen=True)
class Step:
    """A command of a console block, with what the page shows of its output."""

    command: str
    shown: str


def blocks_of(page: Path) -> list[Block]:
    """Return the fenced blocks of a page, in their order."""
    text = page.read_text(encoding="utf-8")
    found: list[Block] = []
    for match in FENCE.finditer(text):
        indent = len(match["indent"])
        code = "".join(line[indent:] for line in match["code"].splitlines(keepends=True))
        marks = {word: reason or word for word, reason in COMMENT.findall(match["comments"])}
        line = text.count("\n", 0, match.start("code")) + 1
        found.append(Block(page, line, match["language"], code, marks))
    return found


def steps_of(block: Block) -> list[Step]:
    """Return the commands of a shell block: `$ ` and its output, or in `bash` all as one."""
    if block.language != "console":
        return [Step(block.code, "")]
    prompts = [m.start() for m in re.finditer(r"^\$ ", block.code, re.MULTILINE)]
    return [_step(block.code[a + 2 : b]) for a, b in pairwise([*prompts, len(block.code)])]


def bash(
    *arguments: str, folder: Path | None = None, environment: Mapping[str, str] | None = None
) -> subprocess.CompletedProcess[str]:
    """Run bash with nothing to read; all that it prints, in its order, is in `stdout`."""
    return subprocess.run(
        ["bash", *arguments],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        stdin=subprocess.DEVNULL,
        text=True,
        encoding="utf-8",
        check=False,
    )


def _step(text: str) -> Step:
    """Split a command, with its here-document or continued lines, from what it prints."""
    lines = text.splitlines(keepends=True)
    end = 1
    while lines[end - 1].endswith("\\\n"):
        end += 1
    if opened := re.search(r"<<\s*'?(\w+)'?", lines[0]):
        end = lines.index(f"{opened[1]}\n") + 1
    return Step("".join(lines[:end]), "".join(lines[end:]))


def differs(shown: str, printed: str) -> str:
    """Return how the output differs from what a page shows, or nothing.

    In a line `...` stands for anything; alone on a line, for any number of lines. Spaces at the
    end of lines and empty lines around the whole count for nothing. Where nothing is shown,
    anything may be printed.
    """
    if not shown.strip():
        return ""
    pattern = "".join(_pattern(shown.strip("\n").splitlines()))
    text = "\n".join(line.rstrip() for line in printed.splitlines()).strip("\n") + "\n"
    if re.fullmatch(pattern, text):
        return ""
    return f"the page shows\n{shown}\nbut this was printed:\n{printed}"


def _pattern(lines: list[str]) -> Iterator[str]:
    for line in lines:
        if line.strip() == "...":
            yield r"(?:.*\n)*?"
        else:
            yield ".*?".join(re.escape(part) for part in line.rstrip().split("...")) + r"\n"
