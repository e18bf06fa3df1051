"""The report of the terminal in a drawn window, character by character."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterator
from dataclasses import dataclass
from html import escape

from drawing import dark

from ftadvise.reports import text
from ftadvise.reports.style import Style
from pictured.example import COMMAND, ROOT, advice

CELL, LINE, SIZE = 8.0, 18.0, 13.2  # pixels: width of a character, height of a line, of the font
LEFT, TOP = 18.0, 58.0  # of the first character: its left edge and its baseline
BAR = 34  # pixels of the bar of the window
PAPER, INK, DIM, EDGE, TITLE = "#ffffff", "#222222", "#6a737d", "#d0d7de", "#f3f4f6"
COLOURS = {"31": "#b3261e", "32": "#1a7f37", "33": "#8a6100", "36": "#0b6e8a", "2": DIM}
_CODE = re.compile(r"\x1b\[(\d+)m")
_FONT = "ui-monospace,SFMono-Regular,Menlo,Consolas,'DejaVu Sans Mono',monospace"
# The dots of a braille character by their bit: column and row.
_BRAILLE = ((0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (0, 3), (1, 3))
# Characters that are drawn, so that they join whatever the font: as parts of a path in a cell of
# 1 by 1, its upper left corner at 0, 0.
_DRAWN = {
    "│": "M.5 0V1", "┤": "M.5 0V1M0 .5H.5", "└": "M.5 0V.5H1", "─": "M0 .5H1",
    "┊": "M.5 .05V.25M.5 .4V.6M.5 .75V.95",
}  # fmt: skip


@dataclass(frozen=True)
class Piece:
    """Characters of one line that are marked alike.

    Attributes:
        row: Line, from 0.
        column: Of the first character, from 0.
        text: The characters.
        colour: Their colour.
        bold: Whether they are bold.
    """

    row: int
    column: int
    text: str
    colour: str
    bold: bool


def picture() -> str:
    """Return the first part of the report on the example, as the terminal shows it."""
    with contextlib.chdir(ROOT):
        report = text.report(advice(), 80, False, Style(colour=True))
    shown = report.partition("\n\n\x1b[1mFindings")[0].splitlines()
    prompt = f"\x1b[32m$\x1b[0m \x1b[1m{COMMAND}\x1b[0m"
    return window([prompt, *shown], f"What {COMMAND} prints: the answer, and the loss curves")


def window(lines: list[str], what: str) -> str:
    """Draw lines with their colours in a window.

    Args:
        lines: Text with the escape codes of `ftadvise.reports.style`.
        what: What is read to those who cannot see it.
    """
    longest = max(len(_CODE.sub("", line)) for line in lines)
    width, height = round(longest * CELL + 2 * LEFT), round(len(lines) * LINE + TOP)
    pieces = [piece for row, line in enumerate(lines) for piece in pieces_of(line, row)]
    inside = [*_frame(width, height), *_words(pieces), *_signs(pieces)]
    size = f'viewBox="0 0 {width} {height}" width="{width}" height="{height}"'
    font = f'font-family="{_FONT}" font-size="{SIZE:g}"'
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" {size} {font} role="img">',
            f"<title>{escape(what)}</title>",
            dark(inside),
            *inside,
            "</svg>\n",
        ]
    )


def pieces_of(line: str, row: int) -> Iterator[Piece]:
    """Yield the pieces of a line, without blanks at their ends."""
    codes: set[str] = set()
    column = 0
    parts = _CODE.split(line)
    for place, part in enumerate(parts):
        if place % 2:
            codes = set() if part == "0" else codes | {part}
            continue
        colour = next((COLOURS[code] for code in sorted(codes) if code in COLOURS), INK)
        for word in re.finditer(r"\S+(?: \S+)*", part):
            yield Piece(row, column + word.start(), word[0], colour, "1" in codes)
        column += len(part)


def _frame(width: int, height: int) -> list[str]:
    dots = "".join(
        f'<circle cx="{20 + 18 * n}" cy="{BAR / 2:g}" r="5.5" fill="{EDGE}"/>' for n in range(3)
    )
    bar = f"M.5 {BAR}.5V9a8.5 8.5 0 0 1 8.5 -8.5H{width - 9}a8.5 8.5 0 0 1 8.5 8.5V{BAR}.5z"
    size = f'width="{width - 1}" height="{height - 1}" rx="8.5"'
    return [
        f'<rect x=".5" y=".5" {size} fill="{PAPER}" stroke="{EDGE}"/>',
        f'<path d="{bar}" fill="{TITLE}" stroke="{EDGE}"/>{dots}',
    ]


def _words(pieces: list[Piece]) -> Iterator[str]:
    """Yield what is written: each word group as wide as its cells, whatever the font."""
    for piece in pieces:
        for found in re.finditer(r"[^⠀-⣿│┤└─┊○●]+", piece.text):
            written = found[0].strip()
            if not written:
                continue
            start = piece.column + found.start() + found[0].index(written)
            x, y = LEFT + start * CELL, TOP + piece.row * LINE
            weight = ' font-weight="700"' if piece.bold else ""
            fit = f'textLength="{len(written) * CELL:g}" lengthAdjust="spacingAndGlyphs"'
            yield (
                f'<text x="{x:g}" y="{y:g}" {fit} fill="{piece.colour}"{weight}>'
                f"{escape(written, quote=False)}</text>"
            )


def _signs(pieces: list[Piece]) -> Iterator[str]:
    """Yield what is drawn, all of one colour and kind in one path."""
    lines: dict[str, list[str]] = {}
    dots: dict[str, list[str]] = {}
    for piece in pieces:
        for place, sign in enumerate(piece.text):
            x = LEFT + (piece.column + place) * CELL
            y = TOP + piece.row * LINE - 0.74 * LINE
            if sign in _DRAWN:
                lines.setdefault(piece.colour, []).append(_scaled(_DRAWN[sign], x, y))
            elif "⠀" <= sign <= "⣿":
                dots.setdefault(piece.colour, []).append(_braille(sign, x, y))
            elif sign in "○●":
                fill = piece.colour if sign == "●" else "none"
                yield (
                    f'<circle cx="{x + CELL / 2:g}" cy="{y + LINE / 2:g}" r="3.1" fill="{fill}" '
                    f'stroke="{piece.colour}" stroke-width="1.4"/>'
                )
    for colour, parts in lines.items():
        yield f'<path d="{"".join(parts)}" fill="none" stroke="{colour}" stroke-width="1"/>'
    for colour, parts in dots.items():
        yield (
            f'<path d="{"".join(parts)}" stroke="{colour}" stroke-width="2.5" '
            'stroke-linecap="round"/>'
        )


def _scaled(path: str, x: float, y: float) -> str:
    """Return a path of a cell of 1 by 1 at its place."""
    made: list[str] = []
    for command, given in re.findall(r"([MHV])([\d. ]+)", path):
        numbers = [float(number) for number in given.split()]
        if command == "V":
            made.append(f"V{y + numbers[0] * LINE:g}")
        else:
            across = f"{command}{x + numbers[0] * CELL:g}"
            made.append(across if command == "H" else f"{across} {y + numbers[1] * LINE:g}")
    return "".join(made)


def _braille(sign: str, x: float, y: float) -> str:
    bits = ord(sign) - 0x2800
    return "".join(
        f"M{x + (0.25 + 0.5 * column) * CELL:g} {y + (0.125 + 0.25 * row) * LINE:g}h0"
        for bit, (column, row) in enumerate(_BRAILLE)
        if bits >> bit & 1
    )
