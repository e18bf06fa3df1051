"""Rounds float32 to bfloat16 at random, so that the mean of many roundings is the number itself.

The random bits are a pure function of seed, step, parameter and element (a counter is hashed, as
in Salmon et al. 2011, "Parallel random numbers: as easy as 1, 2, 3"). There is no generator whose
state could be lost: a run that goes on from a checkpoint, the replicas of a model on several GPUs
and a model that is spread over them all draw the same bits. Everything is plain arithmetic on
tensors, so that a compiler makes one kernel of it, and that kernel draws the same bits too.
"""

from __future__ import annotations

import torch

# Two rounds of shifts and products that mix 32 bits so well that each of them turns half of the
# others: "lowbias32" of Chris Wellons, https://nullprogram.com/blog/2018/07/31/.
_FIRST, _SECOND = 0x7FEB352D, 0x846CA68B
_WORD = 0xFFFFFFFF
_LOW = 0xFFFF


def signed(word: int) -> int:
    """Return the int32 that has the 32 lowest bits of `word`."""
    return ((word + 0x80000000) & _WORD) - 0x80000000


def key(seed: int, step: int, place: int) -> int:
    """Return what tells the bits of one parameter at one step from all others, as an int32.

    Args:
        seed: Of the run.
        step: Number of the optimizer step.
        place: Which parameter it is, counted through all of the model's.
    """
    word = 0
    for part in (seed, step, place):
        word = _mixed_word((word ^ part) + 0x9E3779B9)  # so that zeros are not mixed to zero
    return signed(word)


def _mixed_word(word: int) -> int:
    """Do to a Python integer what `_mixed` does to each element of a tensor."""
    word &= _WORD
    word = ((word ^ (word >> 16)) * _FIRST) & _WORD
    word = ((word ^ (word >> 15)) * _SECOND) & _WORD
    return word ^ (word >> 16)


def _mixed(words: torch.Tensor) -> torch.Tensor:
    # Shifts of a signed number drag its sign along, so the bits from above are masked away.
    words = (words ^ ((words >> 16) & 0xFFFF)) * _FIRST
    words = (words ^ ((words >> 15) & 0x1FFFF)) * signed(_SECOND)
    return words ^ ((words >> 16) & 0xFFFF)


def random_bits(count: int, start: torch.Tensor, key: torch.Tensor) -> torch.Tensor:
    """Return 32 random bits for each of `count` elements that lie one after another.

    Args:
        count: How many.
        start: Number of the first element in the whole parameter, an int32 scalar.
        key: As the function `key` gives it, an int32 scalar on the same device.

    Returns:
        An int32 tensor of shape (count,).
    """
    # From 64 bits, as some tensors have more than 2^31 elements; those go on below zero.
    index = torch.arange(count, device=key.device).to(torch.int32) + start
    return _mixed(_mixed(index) ^ key)


def low_half(bits: torch.Tensor) -> torch.Tensor:
    """Return the lower 16 of 32 bits, for one rounding."""
    return bits & _LOW


def high_half(bits: torch.Tensor) -> torch.Tensor:
    """Return the upper 16 of 32 bits, for another rounding of the same elements."""
    return (bits >> 16) & _LOW


def stochastic(values: torch.Tensor, noise: torch.Tensor) -> torch.Tensor:
    """Round to one of the two neighbours in bfloat16, to each as often as it is near.

    A bfloat16 is the upper half of a float32. What a random number from 0 to 65535 carries over
    from the lower half into the upper one has the mean lower half / 65536.

    Args:
        values: float32. What bfloat16 has exactly stays as it is; so do infinities and NaN.
        noise: int32 from 0 to 65535, of the same shape.

    Returns:
        bfloat16, of the same shape.
    """
    return _upper_half(values, noise)


def nearest(values: torch.Tensor) -> torch.Tensor:
    """Round float32 to the nearest bfloat16, ties to even.

    As `values.to(torch.bfloat16)`, but a compiler leaves that out when the result is turned back
    into float32, and takes what rounding left over for zero.
    """
    odd = (values.view(torch.int32) >> 16) & 1
    return _upper_half(values, odd + 0x7FFF)


def _upper_half(values: torch.Tensor, added: torch.Tensor) -> torch.Tensor:
    carried = ((values.view(torch.int32) + added) & ~_LOW).view(torch.float32)
    return torch.where(torch.isfinite(values), carried, values).to(torch.bfloat16)
