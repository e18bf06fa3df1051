"""What is fine-tuned: two pre-trained models, five data sets, three sizes, four learning rates."""

from __future__ import annotations

from dataclasses import dataclass

HORIZONS = (1, 2, 3, 4, 5, 7, 10)
EARLIER = 3
"""Epochs of the earlier run that `--auto --from` is given: what most people train first."""

DATA_SETS = ("lemmas", "names", "novel", "numbers", "talk")
SIZES = (256, 768, 2048)
RATES = (1e-4, 2e-4, 3e-4, 5e-4)
BATCH = 16
EVAL_PAIRS = 256
LOGS_PER_EPOCH = 4


@dataclass(frozen=True)
class Base:
    """A model that is pre-trained first: its kind in transformers, and its shape."""

    kind: str
    width: int
    layers: int
    heads: int
    tokens: int


@dataclass(frozen=True)
class FineTune:
    """One fine-tune, apart from its number of epochs."""

    data_set: str
    examples: int
    rate: float
    base: Base
    seed: int

    @property
    def per_epoch(self) -> int:
        """Optimizer steps in an epoch."""
        return self.examples // BATCH


BASES = (Base("llama", 640, 12, 10, 36_000_000), Base("gpt2", 640, 11, 10, 36_000_000))
TINY = (Base("llama", 64, 2, 2, 100_000), Base("gpt2", 64, 2, 2, 100_000))


def fine_tunes(bases: tuple[Base, ...] = BASES) -> list[FineTune]:
    """Return thirty: each data set and size twice, with another model and another rate.

    The first fifteen have every data set and size once.
    """
    found: list[FineTune] = []
    for turn in range(2):
        for place, (size, data_set) in enumerate((s, d) for s in SIZES for d in DATA_SETS):
            rate = RATES[(place + 2 * turn + place // len(DATA_SETS)) % len(RATES)]
            base = bases[(place + turn) % len(bases)]
            found.append(FineTune(data_set, size, rate, base, 100 * turn + place))
    return found


def tiny() -> list[FineTune]:
    """Return two that train on a CPU in minutes, to try everything."""
    return [FineTune("numbers", 64, 5e-3, TINY[0], 0), FineTune("talk", 64, 5e-3, TINY[1], 1)]
