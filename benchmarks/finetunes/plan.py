"""What is fine-tuned: architectures, and groups of families drawn at random from wide ranges."""

from __future__ import annotations

import math
import random
from dataclasses import dataclass, replace

from stack import Shape

HORIZONS = (1, 2, 3, 4, 5, 7, 10)
CONSTANT_EPOCHS = 12
# Hold the peak rate until an epoch, then decay over some epochs.
HOLDS = ((0.5, 0.5), (1.0, 0.5), (1.0, 1.0), (2.0, 0.5), (2.0, 1.0), (3.0, 1.0), (5.0, 1.0))


@dataclass(frozen=True)
class Base:
    """An architecture, pre-trained twice: on all of `tokens` and on a quarter of them."""

    shape: Shape
    tokens: int
    seed: int
    families: int  # in one group: small models need many to fill a GPU


@dataclass(frozen=True)
class Family:
    """One fine-tune, apart from its number of epochs. The seed is its number too."""

    data_set: str
    examples: int
    rate: float
    schedule: str
    seed: int
    variant: int  # 0: the base with all tokens, 1: with a quarter
    weight_decay: float
    beta2: float
    warmup_ratio: float
    constant: bool  # has a constant-rate run too
    holds: bool  # has hold-then-decay runs too


@dataclass(frozen=True)
class Group:
    """Families that train side by side: one architecture, batch size and number of examples."""

    number: int
    base: Base
    batch: int
    examples: int
    length: int
    rank: int
    dropout: float
    logs_per_epoch: int
    families: tuple[Family, ...]


@dataclass(frozen=True)
class Run:
    """One training run of a family; `hold` is None or (epochs held, epochs of decay)."""

    family: Family
    epochs: float
    schedule: str
    hold: tuple[float, float] | None = None


def runs(family: Family) -> list[Run]:
    """Return a family's runs: seven horizons, and what else it has."""
    made = [Run(family, epochs, family.schedule) for epochs in HORIZONS]
    if family.constant:
        made.append(Run(family, CONSTANT_EPOCHS, "constant"))
    if family.holds:
        made += [Run(family, hold + decay, "hold", (hold, decay)) for hold, decay in HOLDS]
    return made


BASES = (
    Base(Shape(256, 4, 4), 36_000_000, 1, 14),
    Base(Shape(384, 6, 6), 28_000_000, 2, 9),
    Base(Shape(128, 4, 4), 36_000_000, 3, 24),
    Base(Shape(512, 4, 8), 24_000_000, 4, 8),
    Base(Shape(192, 8, 6), 28_000_000, 5, 14),
    Base(Shape(320, 5, 5), 28_000_000, 6, 10),
    Base(Shape(512, 8, 8), 16_000_000, 7, 6),
    Base(Shape(256, 2, 4), 36_000_000, 8, 18),
)
GROUPS_PER_BASE = 5
# Training examples and batch size; the examples fill an even number of batches.
_SIZES = ((192, 4), (256, 8), (384, 16), (512, 32), (512, 8), (768, 16), (1024, 32), (1024, 16),
          (1536, 16), (2048, 32), (2048, 16), (3968, 32))  # fmt: skip


def _size(draw: random.Random, base: Base) -> tuple[int, int]:
    """Return examples and batch size that take some 40 s on one H200 at most."""
    work = base.shape.parameters * base.families
    return draw.choice([size for size in _SIZES if size[0] * work < 2.2e11])


def _log_uniform(draw: random.Random, low: float, high: float) -> float:
    """Return a rate with two significant digits."""
    return float(f"{math.exp(draw.uniform(math.log(low), math.log(high))):.1e}")


def _family(draw: random.Random, name: str, seed: int, examples: int, rank: int) -> Family:
    low, high = (3e-4, 1e-2) if rank else (5e-5, 2e-3)
    schedule = draw.choices(("linear", "cosine"), (2, 1))[0]
    return Family(
        data_set=name,
        examples=examples,
        rate=_log_uniform(draw, low, high),
        schedule=schedule,
        seed=seed,
        variant=int(draw.random() < 0.35),
        weight_decay=draw.choice((0.0, 0.0, 0.01, 0.1)),
        beta2=draw.choice((0.999, 0.999, 0.95)),
        warmup_ratio=draw.choice((0.0, 0.03, 0.05, 0.1)),
        constant=draw.random() < 0.2,
        holds=schedule == "linear" and draw.random() < 0.15,
    )


def make_group(number: int, base: Base, pairs: dict[int, dict[str, int]]) -> Group:
    """Draw one group; `pairs` says how many pairs each data set has within a length."""
    draw = random.Random(f"group {number}")
    examples, batch = _size(draw, base)
    length = draw.choice(sorted(pairs))
    rank = draw.choice((0, 0, 0, 4, 16)) if number % GROUPS_PER_BASE else 0
    enough = [name for name, count in sorted(pairs[length].items()) if count >= examples]
    names = draw.sample(enough, len(enough))
    chosen = [names[i % len(names)] for i in range(base.families)]
    families = [
        _family(draw, name, 1000 * number + i, examples, rank) for i, name in enumerate(chosen)
    ]
    return Group(
        number=number,
        base=base,
        batch=batch,
        examples=examples,
        length=length,
        rank=rank,
        dropout=draw.choice((0.0, 0.0, 0.0, 0.1)),
        logs_per_epoch=draw.choice((2, 3, 5)),
        families=tuple(families),
    )


def tiny_plan(pairs: dict[int, dict[str, int]]) -> list[Group]:
    """Return one group of a very small model, to try everything in minutes on a CPU."""
    base = Base(Shape(64, 2, 2), 200_000, 9, 2)
    draw = random.Random("tiny")
    length = min(pairs)
    families = tuple(
        replace(_family(draw, name, 900_000 + i, 96, 0), rate=3e-3, variant=0, constant=i == 0)
        for i, name in enumerate(("wordnet", "dates"))
    )
    first = replace(families[0], schedule="linear", holds=True)
    return [Group(900, base, 8, 96, length, 0, 0.0, 3, (first, *families[1:]))]


def make_plan(pairs: dict[int, dict[str, int]]) -> list[Group]:
    """Return all groups, those of one architecture together."""
    return [
        make_group(GROUPS_PER_BASE * b + i, base, pairs)
        for b, base in enumerate(BASES)
        for i in range(GROUPS_PER_BASE)
    ]
