"""Checks one value of a training YAML against the type that its key has."""

from __future__ import annotations

import math
import types
import typing
from typing import TYPE_CHECKING, Any

from ftadvise.text import clean
from ftadvise_trainer.settings.yaml_file import plain, unquoted

if TYPE_CHECKING:
    from ftadvise_trainer.settings.yaml_file import Given

_WORDS = {int: "a whole number", float: "a number", bool: "true or false", str: "text"}


class WrongType(Exception):
    """A value that is of another type than its key; says so in words."""


def typed(given: Given, hint: Any) -> Any:
    """Return a value as the type that `hint` names, or raise `WrongType`.

    Types that are unknown here, such as an enumeration beside `str`, are left to their owner.
    """
    arms = _arms(hint)
    value = given.value
    if isinstance(value, list | dict):
        return _collection(given, arms)
    if value is None and type(None) in arms:
        return None
    for convert in (_as_bool, _as_number, _as_text):
        made = convert(given, arms)
        if made is not None:
            return made
    raise WrongType(f"must be {_in_words(arms)}, but is {_found(given)}")


def _arms(hint: Any) -> tuple[Any, ...]:
    if typing.get_origin(hint) in (typing.Union, types.UnionType):
        return typing.get_args(hint)
    return (hint,)


def _collection(given: Given, arms: tuple[Any, ...]) -> Any:
    wanted = tuple if isinstance(given.value, list) else dict
    for arm in arms:
        origin = typing.get_origin(arm) or arm
        if origin is tuple and wanted is tuple:
            return tuple(_items(given))
        if (origin is list and wanted is tuple) or (origin is dict and wanted is dict):
            return _json(plain(given))
    raise WrongType(f"must be {_in_words(arms)}, but is {_found(given)}")


def _items(given: Given) -> list[str]:
    items: list[str] = []
    for item in given.value:
        if isinstance(item.value, list | dict) or item.value is None or not item.text:
            raise WrongType(f"must be a list of names, but holds {_found(item)}")
        items.append(item.text)
    return items


def _as_bool(given: Given, arms: tuple[Any, ...]) -> bool | None:
    return given.value if isinstance(given.value, bool) and bool in arms else None


def _as_number(given: Given, arms: tuple[Any, ...]) -> int | float | None:
    value = given.value
    if isinstance(value, str) and str not in arms and not isinstance(unquoted(value), str):
        value = unquoted(value)  # a number in quotes
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    if isinstance(value, int):
        # Keys of transformers that are floats often mean a whole number of steps.
        return value if int in arms else float(value) if float in arms else None
    if float in arms and not math.isfinite(value):
        raise WrongType(f"must be a finite number, but is {_found(given)}")
    return value if float in arms else None


def _as_text(given: Given, arms: tuple[Any, ...]) -> Any:
    if given.value is None:
        return None
    # The text as written: a revision of digits is still a name, and `no` is the strategy "no".
    if str in arms:
        return given.text
    if any(typing.get_origin(arm) is tuple for arm in arms):
        return (given.text,) if given.text else ()
    return given.text if not set(arms) & {int, float, bool} else None


def _json(value: Any) -> Any:
    """Return plain data for a mapping or list of transformers' own, refusing NaN."""
    inner = value.values() if isinstance(value, dict) else value  # pyright: ignore
    if isinstance(value, dict | list):
        for item in inner:  # pyright: ignore
            _json(item)
    elif isinstance(value, float) and not math.isfinite(value):
        raise WrongType(f"must hold finite numbers, but holds {value}")
    return value  # pyright: ignore


def _in_words(arms: tuple[Any, ...]) -> str:
    words = [_WORDS[arm] for arm in (int, float, bool, str) if arm in arms]
    if int in arms and float in arms:
        words.remove("a whole number")
    origins = {typing.get_origin(arm) or arm for arm in arms}
    words += ["a list of names"] if tuple in origins else ["a list"] if list in origins else []
    words += ["a mapping"] if dict in origins else []
    return " or ".join(words)


def _found(given: Given) -> str:
    if isinstance(given.value, list):
        return "a list"
    if isinstance(given.value, dict):
        return "a mapping"
    if given.value is None:
        return "empty"
    if isinstance(given.value, str):
        return f"the text {clean(given.text, 60)!r}"
    return clean(given.text, 60)
