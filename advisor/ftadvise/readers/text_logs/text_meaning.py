"""What the names in free text mean: those of `keys`, and more than it dares to believe elsewhere.

In a table or a JSON file `perda` or `손실` may be money; on a line of text that counts epochs it is
the loss, and so is the cost after an iteration.
"""

from __future__ import annotations

import functools

from ftadvise.readers.series import keys
from ftadvise.readers.series.keys import Meaning
from ftadvise.readers.text_logs.other_words import in_english

_COST = Meaning("train", (6, 1), "", ("cost",))


def words(name: str) -> list[str]:
    """Return the lower-case English words of `name`, as `keys.words` does."""
    return keys.words(in_english(name))


@functools.lru_cache(maxsize=4096)
def split_of(name: str) -> str:
    """Return "train" or "eval" when `name` says which data it is about, else ""."""
    return keys.split_of(in_english(name))


@functools.lru_cache(maxsize=4096)
def is_split_word(name: str) -> bool:
    """Return whether `name` says nothing but which data it is about, such as `"dev"`."""
    return keys.is_split_word(in_english(name))


@functools.lru_cache(maxsize=4096)
def meaning(name: str) -> Meaning:
    """Return what a series called `name` is."""
    english = in_english(name)
    return _COST if keys.words(english) == ["cost", "after"] else keys.meaning(english)
