"""Examples laid end to end in rows: few rows, of about the same length, from the lengths alone.

The rows come from best-fit decreasing, which needs at most 11/9 of the fewest rows there could be,
and two thirds of one more (Johnson, Demers, Ullman, Garey and Graham 1974). They are then balanced
by MULTIFIT (Coffman, Garey and Johnson 1978): the same with the smallest budget that needs no more
rows, so that 40,000 tokens with a budget of 32,000 make two rows of about 20,000. Where the longest
row of longest-processing-time-first (Graham 1969) is no longer, its rows are taken: they differ less.
"""

from __future__ import annotations

import bisect
import heapq
import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

_HALVINGS = 8
"""Of the range in which the balanced budget is looked for: its last step is below half a percent."""

Row = tuple[int, ...]
"""Places of the examples of a row, ascending."""


@dataclass(frozen=True)
class Layout:
    """How the examples of an optimizer step become forward passes.

    Attributes:
        pad_id: Token id to pad with.
        row_tokens: Tokens of a packed row at most, unless one example is longer; None pads the
            examples of a forward pass to one length instead.
        multiple: Lengths of packed rows are rounded up to a multiple of it.
        batch_size: Examples in an optimizer step over all processes; None leaves the batches to
            transformers.
        examples: Examples of a forward pass where nothing is packed.
    """

    pad_id: int
    row_tokens: int | None = None
    multiple: int = 1
    batch_size: int | None = None
    examples: int = 1


def pack(lengths: Sequence[int], budget: int, *, ranks: int = 1) -> list[Row]:
    """Return balanced rows for examples of these lengths, longest row first.

    Every example stands in exactly one row. A row holds no more tokens than `budget`, unless it
    is one example alone.

    Args:
        lengths: Tokens of each example.
        budget: Tokens of a row.
        ranks: The number of rows is a multiple of it; what is missing are empty rows.
    """
    order = _decreasing(lengths)
    rows = _best_fit(order, lengths, budget)
    wanted = max(math.ceil(len(rows) / ranks), 1) * ranks
    low, high = min(max(math.ceil(sum(lengths) / wanted), 1), budget), budget
    if low < high and len(lengths) > 1:
        for _ in range(_HALVINGS):
            middle = (low + high) // 2
            tried = _best_fit(order, lengths, middle)
            if len(tried) <= wanted:
                rows, high = tried, middle
            else:
                low = middle + 1
            if low >= high:
                break
        spread = _longest_first(order, lengths, wanted)
        longest = min(budget, max(_sums(rows, lengths)))
        if all(
            tokens <= longest or len(row) == 1
            for row, tokens in zip(spread, _sums(spread, lengths), strict=True)
        ):
            rows = spread
    return _tidy(rows, lengths, wanted)


def pack_all(lengths: Sequence[int], budget: int, *, ranks: int = 1) -> list[Row]:
    """As `pack`, for a whole dataset: full rows and at most a few short ones, not balanced."""
    rows = _best_fit(_decreasing(lengths), lengths, budget)
    return _tidy(rows, lengths, max(math.ceil(len(rows) / ranks), 1) * ranks)


def group(lengths: Sequence[int], examples: int, *, ranks: int = 1) -> list[Row]:
    """Return groups of examples of similar length, to be padded instead of packed.

    Args:
        lengths: Tokens of each example.
        examples: How many of them a group holds at most.
        ranks: The number of groups is a multiple of it; what is missing are empty groups.
    """
    order = _decreasing(lengths)
    wanted = max(math.ceil(len(order) / (examples * ranks)), 1) * ranks
    # As many in each group as in the others: no rank has all of the examples of a small batch.
    share, more = divmod(len(order), wanted)
    rows: list[list[int]] = []
    start = 0
    for place in range(wanted):
        size = share + (place < more)
        rows.append(order[start : start + size])
        start += size
    return [tuple(sorted(row)) for row in rows]


def width(tokens: int, multiple: int) -> int:
    """Return the length of a row of so many tokens with its padding; an empty row has one place."""
    return math.ceil(max(tokens, 1) / multiple) * multiple


def padding_share(lengths: Iterable[int], widths: Iterable[int]) -> float:
    """Return the share of places that hold no token of an example.

    Args:
        lengths: Tokens of each example.
        widths: Places of each row; where rows are padded, once for each example.
    """
    places = sum(widths)
    return 1.0 - sum(lengths) / places if places else 0.0


def _decreasing(lengths: Sequence[int]) -> list[int]:
    return sorted(range(len(lengths)), key=lambda place: (-lengths[place], place))


def _best_fit(order: Sequence[int], lengths: Sequence[int], budget: int) -> list[list[int]]:
    """Put each example into the fullest row that has room for it, or into a new one."""
    rows: list[list[int]] = []
    free: list[tuple[int, int]] = []  # room and row, ascending
    for place in order:
        length = lengths[place]
        found = bisect.bisect_left(free, (length, -1))
        if found < len(free):
            room, row = free.pop(found)
        else:
            room, row = max(budget, length), len(rows)
            rows.append([])
        rows[row].append(place)
        bisect.insort(free, (room - length, row))
    return rows


def _longest_first(order: Sequence[int], lengths: Sequence[int], wanted: int) -> list[list[int]]:
    """Put each example into the row that is shortest so far."""
    rows: list[list[int]] = [[] for _ in range(wanted)]
    heap = [(0, row) for row in range(wanted)]
    for place in order:
        tokens, row = heap[0]
        rows[row].append(place)
        heapq.heapreplace(heap, (tokens + lengths[place], row))
    return rows


def _sums(rows: Iterable[Sequence[int]], lengths: Sequence[int]) -> list[int]:
    return [sum(lengths[place] for place in row) for row in rows]


def _tidy(rows: Iterable[Iterable[int]], lengths: Sequence[int], wanted: int) -> list[Row]:
    tidy = [tuple(sorted(row)) for row in rows if row]
    tidy.sort(key=lambda row: (-sum(lengths[place] for place in row), row))
    return tidy + [()] * (wanted - len(tidy))
