"""A small canvas of characters: braille dots, two by four to a cell, or plain ASCII."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

Paint = Callable[[str], str]

_BLANK = 0x2800
# Bit of each dot of a braille cell, by row and column.
_DOTS = ((0x01, 0x08), (0x02, 0x10), (0x04, 0x20), (0x40, 0x80))


@dataclass(frozen=True)
class Layer:
    """What is drawn with: later layers cover earlier ones.

    Attributes:
        rank: Of two layers in one cell the higher rank gives the colour, and the ASCII character.
        letter: Its character where there is no braille.
        paint: Colours its characters.
    """

    rank: int
    letter: str
    paint: Paint = field(default=str)


class Canvas:
    """Cells to draw on. Coordinates run from 0 to 1, from the lower left."""

    def __init__(self, columns: int, rows: int, ascii_only: bool) -> None:
        """Start with an empty canvas of `columns` by `rows` cells."""
        self.columns, self.rows = columns, rows
        self._braille = not ascii_only
        self.across, self.down = (1, 1) if ascii_only else (2, 4)
        self.wide, self.high = columns * self.across, rows * self.down
        self._bits: dict[tuple[int, int], int] = {}
        self._layers: dict[tuple[int, int], Layer] = {}
        self._marks: dict[tuple[int, int], tuple[str, Paint]] = {}

    def column(self, x: float) -> int:
        """Return the column of dots at `x`."""
        return min(self.wide - 1, max(0, round(x * (self.wide - 1))))

    def row(self, y: float) -> int:
        """Return the row of dots at `y`, counted from the top."""
        return min(self.high - 1, max(0, round((1.0 - y) * (self.high - 1))))

    def dot(self, column: int, row: int, layer: Layer) -> None:
        """Set the dot at a column and row of dots."""
        cell = (row // self.down, column // self.across)
        bit = _DOTS[row % self.down][column % self.across]
        self._bits[cell] = self._bits.get(cell, 0) | bit
        if cell not in self._layers or self._layers[cell].rank <= layer.rank:
            self._layers[cell] = layer

    def line(self, points: list[tuple[float, float]], layer: Layer, every: int = 1) -> None:
        """Join `points` by a line of which every `every`-th dot is drawn."""
        count = 0
        for (x0, y0), (x1, y1) in zip(points, points[1:] or points, strict=False):
            c0, r0, c1, r1 = self.column(x0), self.row(y0), self.column(x1), self.row(y1)
            length = max(abs(c1 - c0), abs(r1 - r0), 1)
            for i in range(length + 1):
                if count % every == 0:
                    part = i / length
                    self.dot(c0 + round((c1 - c0) * part), r0 + round((r1 - r0) * part), layer)
                count += 1

    def mark(self, x: float, y: float, letter: str, paint: Paint) -> None:
        """Put a character where the dot at (`x`, `y`) would be."""
        cell = (self.row(y) // self.down, self.column(x) // self.across)
        self._marks[cell] = (letter, paint)

    def upright(self, x: float, letter: str, paint: Paint) -> None:
        """Put a character into every empty cell of the column at `x`."""
        column = self.column(x) // self.across
        for row in range(self.rows):
            if (row, column) not in self._bits and (row, column) not in self._marks:
                self._marks[row, column] = (letter, paint)

    def lines(self) -> list[str]:
        """Return the rows as text, from the top."""
        across = range(self.columns)
        return ["".join(self._cell(r, c) for c in across).rstrip() for r in range(self.rows)]

    def _cell(self, row: int, column: int) -> str:
        cell = (row, column)
        if cell in self._marks:
            letter, paint = self._marks[cell]
            return paint(letter)
        if cell not in self._layers:
            return " "
        layer = self._layers[cell]
        return layer.paint(chr(_BLANK + self._bits[cell]) if self._braille else layer.letter)
