"""What the words before a number in free text mean: `Epoch 3 finished with loss 0.5`.

Around a name stand words that are none of it, words that make it something else (`best val loss`)
and words that say which data it is about.
"""

from __future__ import annotations

import functools
from dataclasses import dataclass

from ftadvise.readers.series.keys import LOSSES
from ftadvise.readers.text_logs.text_meaning import is_split_word, meaning, split_of, words

MAX_NAME = 4  # words of a name that are kept together
AXES = ("step", "epoch")
PLAIN = 2  # rank of `total loss` and `lm loss`, which need not be cut to `loss`


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


_JOINING = _words("at after for in on of by")
# What a line tells about another moment than its own: the best one, a saved or a loaded one.
_ANOTHER_MOMENT = _words(
    "best min minimum lowest saved saving save saves early stopping stopped patience restored"
    " restoring restore resume resuming resumed loaded loading checkpoint improved decreased"
    " increased previous final target"
)
_FILLING = _words(
    "set phase results result stats statistics metrics summary data loop epoch performance scores"
    " running on in mode the current net output"
)
# "a loss of 0.5" and "fell to 0.5" are prose.
_PROSE = _words(
    "of was were to by from than about around approximately below above under over nearly"
)
# Words before a name that are none of it: "Epoch 3 finished with loss 0.5", "INFO Train Loss: 0.5".
_BEFORE = _words(
    "with and has had got finished completed done complete end ended info debug root main trainer"
    " model the a an is are at after now its our result results report summary stage phase mode"
    " starting start begin beginning in of started seconds sec s min ms took"
)
_PLANS = _words("total num max number n")
# Words before "epoch" that make its number something else than the epoch in progress.
_NO_OWNERS = _PLANS | _words(
    "warmup warm per each every last next until till stop size length loss time steps batches of"
)


@dataclass(frozen=True)
class Named:
    """What a name tells.

    Attributes:
        part: The part of it that has a meaning; all of it where none has.
        role: A role of `keys.meaning`, or "plan" for `num_epochs`.
        loose: How many of its words are none of it.
        split: The word that says which data it is about, "" without.
        measure: What is measured, without the split: `("loss",)`.
        another_moment: Whether it is about another moment than that of its line.
    """

    part: str
    role: str
    loose: int
    split: str
    measure: tuple[str, ...]
    another_moment: bool


@functools.lru_cache(maxsize=8192)
def named(name: tuple[str, ...]) -> Named:
    """Return what the words `name` before a number tell; worked out once per name."""
    part, role = _trimmed(name)
    loose = len(name) - len(part.split())
    if name[-1].lower() in _PROSE:
        part, role = " ".join(name), "other"
        loose += len(name)
    found = words(part)
    return Named(
        part,
        role,
        loose,
        next((word for word in found if split_of(word)), ""),
        tuple(word for word in found if not is_split_word(word))[-3:],
        is_about_another_moment(name),
    )


def is_about_another_moment(name: tuple[str, ...]) -> bool:
    """Return whether words are about the best, a saved or a loaded moment of the run."""
    return any(word in _ANOTHER_MOMENT for part in name for word in words(part))


@functools.lru_cache(maxsize=8192)
def heading(name: tuple[str, ...]) -> str:
    """Return which data a heading is about, such as `Validation results`; "" for no heading."""
    lower = [word for part in name for word in words(part)]
    rest = [word for word in lower if not is_split_word(word)]
    if len(lower) <= 4 and len(rest) < len(lower) and all(word in _FILLING for word in rest):
        return next(word for word in lower if is_split_word(word))
    return ""


def joined(name: tuple[str, ...]) -> tuple[tuple[str, ...], tuple[str, ...]] | None:
    """Return the loss and the axis in `Validation loss at step`, whose number comes later."""
    for place, word in enumerate(name[:-1]):
        if place and word.lower() in _JOINING:
            loss, axis = name[:place], name[place + 1 :]
            if named(axis).role not in AXES:
                continue
            if named(loss).role in LOSSES:
                return loss, axis
            if named(name[: place + 1]).role in LOSSES:  # "Cost after": a cost may be money
                return name[: place + 1], axis
    return None


def _trimmed(name: tuple[str, ...]) -> tuple[str, str]:
    """Return the part of a name that has a meaning, and its role; the name and "other" else."""
    whole = " ".join(name)
    if is_about_another_moment(name):
        return whole, "other"
    found = (whole, "other", 99)
    for start in _starts(name):
        part, dropped = " ".join(name[start:]), name[:start]
        if split_of(" ".join(dropped)) and not split_of(part):
            break
        means = meaning(part)
        if means.role in AXES and any(word.lower() in _PLANS for word in name):
            return whole, "plan"
        if means.role == "other":
            continue
        is_loss = means.role in LOSSES
        if is_loss and (_goes_on(name[start:]) or not _may_be_dropped(dropped)):
            break
        rank = means.rank[0] if is_loss else 0
        if rank < found[2]:
            found = (part, means.role, rank)
        if rank <= PLAIN:
            break
    if found[1] == "other" and _is_epoch_of_something(name):
        return name[-1], "epoch"
    return found[0], found[1]


def _is_epoch_of_something(name: tuple[str, ...]) -> bool:
    """Return whether a name is `ResNet-18 Epoch`: that of a model or of its data."""
    before = {word for part in name[:-1] for word in words(part)}
    return words(name[-1]) == ["epoch"] and len(name) <= MAX_NAME and not before & _NO_OWNERS


def _starts(name: tuple[str, ...]) -> list[int]:
    """Return where in a name its meaning may begin: `D loss` is not cut to `loss`."""
    fill = max((i for i, word in enumerate(name[:-1]) if word.lower() in _BEFORE), default=-1)
    long = range(MAX_NAME, len(name)) if len(name) > MAX_NAME else range(0)
    return [0, *range(1, fill + 2), *long]


def _goes_on(part: tuple[str, ...]) -> bool:
    """Return whether a name goes on behind its loss as prose does: `loss tensor of shape`."""
    last = max((i for i, word in enumerate(part) if meaning(word).role in LOSSES), default=0)
    behind = [word for word in part[last + 1 :] if not is_split_word(word)]
    rest = meaning(" ".join(part)).rest
    return sum(word in rest for text in behind for word in words(text)) > 1


def _may_be_dropped(dropped: tuple[str, ...]) -> bool:
    """Return whether `dropped` does not make the loss after it something else."""
    return all(meaning(f"{word} loss").role != "other" for word in dropped)
