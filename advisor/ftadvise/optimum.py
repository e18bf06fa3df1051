"""Where the best number of epochs lies, as other fine-tunes would have it from a log like this.

A law fitted to one run says little about where the optimum of another length lies: the prior is
what is missing, not the law (`python benchmarks/learn_horizon.py FAMILIES.jsonl.gz`). Here is that
prior: a smooth function of the gap features, a linear part and Gaussian bumps at some centres,

    log E* = a + b · z + Σ_j w_j exp(-|z - c_j|² / (2 n width²)),

learned from fine-tunes that were really run at several lengths. A log that is far from all of them
is answered by the habit "best epoch, rounded up, plus one", the more so the further off it is. Two
things that held in them bound the answer: a run whose loss still fell by a quarter in its second
half was not too long, and one that decayed and ended 3 % above its best was not too short, but the
longer beyond its optimum the higher it had risen.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from ftadvise.gap import gap_features, risen
from ftadvise.priors import load
from ftadvise.run import FloatArray, Run

STRANGE_SPREAD = 0.5  # of log E* where nothing like the log is known
STILL_FALLING = -0.3  # log eval loss over the second half: no such run was ever too long
WELL_RISEN = 0.03  # log last over lowest eval loss, above noise: no such run was too short
AGREEMENT = 0.5  # correlation of the errors made on two logs of one fine-tune


@dataclass(frozen=True)
class Optimum:
    """A normal distribution of the logarithm of the best number of epochs.

    Attributes:
        log_epochs: Its mean.
        spread: Its standard deviation.
        trust: 1 where the log is like those that this was learned from, towards 0 where not.
    """

    log_epochs: float
    spread: float
    trust: float


def optimum(run: Run, held: bool, best_epoch: float) -> Optimum | None:
    """Return where the best number of epochs lies; None for a log without the gap features.

    Args:
        run: A run that was trained to its end.
        held: Whether its learning rate never came down.
        best_epoch: Epoch of its lowest eval loss.
    """
    features = gap_features(run)
    if features is None:
        return None
    table = load("horizon")["held" if held else "annealed"]
    names = list(table["features"])
    middle, scale = np.array([table["features"][name] for name in names]).T
    plain = (np.array([features[name] for name in names]) - middle) / scale
    z = np.clip(plain, -table["clip"], table["clip"])
    centres = np.array(table["centres"])
    squares = ((z - centres) ** 2).sum(axis=1)
    bumps = np.exp(-squares / (2 * len(names) * table["width"] ** 2))
    learned = table["intercept"] + float(z @ table["slopes"]) + float(bumps @ table["heights"])

    habit = math.log(math.ceil(best_epoch) + 1)
    if features["late"] < STILL_FALLING:
        learned = max(learned, habit)
    rise = 0.0 if held else risen(run, features)
    if rise > WELL_RISEN:
        learned = min(learned, features["length"] + highest(rise, table["risen"]))
    trust = familiarity(
        float(np.abs(plain).max()) / table["usual"],
        float(squares.min()) / table["near"],
        math.exp(features["length"]) / np.array(table["lengths"]),
    )
    between = trust * (1.0 - trust) * (learned - habit) ** 2
    unknown = (1.0 - trust) * STRANGE_SPREAD**2
    spread = math.sqrt(trust * table["spread"] ** 2 + unknown + between)
    return Optimum(trust * learned + (1.0 - trust) * habit, spread, trust)


def highest(rise: float, line: list[float]) -> float:
    """Return how far log E* lies above the log of the length at most, after such a rise; not above 0.

    Args:
        rise: Log of the last over the lowest eval loss of a run that decayed.
        line: Offset and slope of the line below which 95 % of such runs lie.
    """
    return min(0.0, line[0] - line[1] * rise)


def familiarity(outside: float, apart: float, lengths: FloatArray) -> float:
    """Return the trust in what was learned, 0 to 1.

    Args:
        outside: The largest feature, over what is usual.
        apart: Squared distance to the nearest centre, over what is usual.
        lengths: The length of the run over the shortest and the longest that was learned from.
    """
    beyond = max(1.0 / float(lengths[0]), float(lengths[1]))
    return 1.0 / max(1.0, outside**2, apart, beyond**2)


def agreed(found: list[Optimum]) -> Optimum:
    """Return what several logs of one fine-tune say together."""
    weight = np.array([one.spread**-2.0 for one in found])
    weight = weight / weight.sum()
    mean = float(weight @ [one.log_epochs for one in found])
    spread = float(weight @ [one.spread for one in found])
    shrunk = spread * math.sqrt((1.0 + (len(found) - 1) * AGREEMENT) / len(found))
    return Optimum(mean, shrunk, float(weight @ [one.trust for one in found]))
