"""The model of `ftadvise.optimum` as it is learned: rows of logs, constants, and answers."""

from __future__ import annotations

import math
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
from families import Family

from ftadvise.gap import gap_features, risen
from ftadvise.optimum import STILL_FALLING, WELL_RISEN, familiarity, highest
from ftadvise.run import FloatArray, Run

SEEN = (2, 3, 5, 7, 10)  # lengths of the run in hand
NEARLY = 0.003  # regret at which a length counts for 1/e in the target
CENTRES, WIDTH, CLIP = 64, 0.6, 2.5
LINEAR_PENALTY, BUMP_PENALTY = 3.0, 1.0
MOST, SLOPES = 0.95, (0.0, 0.5, 1.0, 1.5, 2.0, 2.5, 3.0, 4.0, 5.0)
STRANGE = 0.99  # quantile of the rows beyond which a log begins to be unlike them


@dataclass(frozen=True, eq=False)
class Row:
    """One log: the family it is of, its length, its features, its target and the habit's answer.

    Attributes:
        rise: Of the eval loss at its end, above noise.
        held: Whether its learning rate never came down.
    """

    family: Family
    seen: float
    features: dict[str, float]
    target: float
    habit: int
    rise: float = 0.0
    held: bool = False


def rows(families: list[Family]) -> list[Row]:
    """Return the rows of complete runs, and of constant-rate runs cut at several epochs."""
    found = [_row(f, f.runs[e], e) for f in families for e in SEEN if e in f.runs]
    for family in families:
        found += [_row(family, run, e, held=True) for e, run in family.held.items()]
    return [row for row in found if row is not None]


def _row(family: Family, run: Run, seen: float, held: bool = False) -> Row | None:
    features = gap_features(run)
    if features is None:
        return None
    weight = np.exp(-family.regrets / NEARLY)
    target = float(weight @ np.log(family.epochs) / weight.sum())
    best = float(run.eval.epoch[run.eval.loss.argmin()])
    return Row(family, seen, features, target, math.ceil(best) + 1, risen(run, features), held)


def learn(table: list[Row]) -> dict[str, Any]:
    """Return the constants of `ftadvise.optimum` for these rows; data sets weigh alike."""
    names = list(table[0].features)
    plain = np.array([[row.features[n] for n in names] for row in table])
    middle, scale = plain.mean(axis=0), plain.std(axis=0) + 1e-9
    z = np.clip((plain - middle) / scale, -CLIP, CLIP)
    centres = _centres(z, min(CENTRES, len(table) // 4))
    columns = np.concatenate([np.ones((len(z), 1)), z, _bumps(z, centres)], axis=1)
    first = 1 + len(names)
    penalty = np.zeros((columns.shape[1],) * 2)
    penalty[1:first, 1:first] = LINEAR_PENALTY * np.eye(len(names))
    within = _bumps(centres, centres)
    penalty[first:, first:] = BUMP_PENALTY * (within + 1e-6 * np.eye(len(centres)))
    counts = Counter(row.family.dataset for row in table)
    usual = len(table) / len(counts)
    weight = np.array([min(2.0, usual / counts[row.family.dataset]) for row in table])
    target = np.array([row.target for row in table])
    lengths = np.exp([row.features["length"] for row in table])
    weighted = columns * weight[:, None]
    found = np.linalg.solve(columns.T @ weighted + penalty, weighted.T @ target)
    outside = np.abs((plain - middle) / scale).max(axis=1)
    return {
        "risen": _risen(table),
        "features": {n: [m, s] for n, m, s in zip(names, middle, scale, strict=True)},
        "clip": CLIP,
        "width": WIDTH,
        "intercept": found[0],
        "slopes": found[1:first].tolist(),
        "centres": centres.tolist(),
        "heights": found[first:].tolist(),
        "lengths": [float(lengths.min()), float(lengths.max())],
        "usual": 1.5 * float(np.quantile(outside, STRANGE)),
        "near": 3.0 * float(np.quantile(_nearest(z, centres), STRANGE)),
    }


def _risen(table: list[Row]) -> list[float]:
    """Return offset and slope of the line below which `MOST` of the runs that had risen lie.

    Of log E* over the length, against the rise, by quantile regression.
    """
    rows = [row for row in table if row.rise > WELL_RISEN]
    rise = np.array([row.rise for row in rows])
    above = np.array([row.target - row.features["length"] for row in rows])
    if not rows:
        return [0.0, 0.0]
    lines = [[float(np.quantile(above + slope * rise, MOST)), slope] for slope in SLOPES]
    off = [_pinball(above - offset + slope * rise) for offset, slope in lines]
    return lines[int(np.argmin(off))]


def _pinball(off: FloatArray) -> float:
    return float(np.where(off > 0, MOST * off, (MOST - 1.0) * off).mean())


def predict(model: dict[str, Any], table: list[Row]) -> FloatArray:
    """Return log E* for every row, as `ftadvise.optimum` computes it."""
    names = list(model["features"])
    middle, scale = np.array([model["features"][n] for n in names]).T
    plain = (np.array([[row.features[n] for n in names] for row in table]) - middle) / scale
    z, centres = np.clip(plain, -CLIP, CLIP), np.array(model["centres"])
    learned = model["intercept"] + z @ np.array(model["slopes"])
    learned = learned + _bumps(z, centres) @ np.array(model["heights"])
    habit = np.log([row.habit for row in table])
    falling = np.array([row.features["late"] < STILL_FALLING for row in table])
    learned = np.where(falling, np.maximum(learned, habit), learned)
    well_risen = np.array([not row.held and row.rise > WELL_RISEN for row in table])
    length = np.array([row.features["length"] for row in table])
    above = [highest(row.rise, model["risen"]) for row in table]
    learned = np.where(well_risen, np.minimum(learned, length + above), learned)
    outside = np.abs(plain).max(axis=1) / model["usual"]
    apart = _nearest(z, centres) / model["near"]
    lengths = np.exp(length)[:, None] / np.array(model["lengths"])
    trust = np.array([familiarity(*one) for one in zip(outside, apart, lengths, strict=True)])
    answer: FloatArray = trust * learned + (1.0 - trust) * habit
    return answer


def left_out(table: list[Row], by: str = "dataset") -> tuple[list[Row], FloatArray]:
    """Return the rows and log E* for each, learned without the data set (or model) of the row."""
    kept: list[Row] = []
    found: list[FloatArray] = []
    for name in sorted({getattr(row.family, by) for row in table}):
        model = learn([row for row in table if getattr(row.family, by) != name])
        test = [row for row in table if getattr(row.family, by) == name]
        kept += test
        found.append(predict(model, test))
    return kept, np.concatenate(found)


def _nearest(z: FloatArray, centres: FloatArray) -> FloatArray:
    distances: FloatArray = ((z[:, None] - centres[None]) ** 2).sum(axis=2)
    return distances.min(axis=1)  # type: ignore[no-any-return]


def _bumps(z: FloatArray, centres: FloatArray) -> FloatArray:
    squares = ((z[:, None] - centres[None]) ** 2).sum(axis=2)
    bumps: FloatArray = np.exp(-squares / (2 * z.shape[1] * WIDTH**2))
    return bumps


def _centres(z: FloatArray, count: int) -> FloatArray:
    """Return centres that cover the rows (k-means, started by k-means++)."""
    rng = np.random.default_rng(0)
    centres = z[[rng.integers(len(z))]]
    while len(centres) < count:
        far = ((z[:, None] - centres[None]) ** 2).sum(axis=2).min(axis=1)
        centres = np.concatenate([centres, z[[rng.choice(len(z), p=far / far.sum())]]])
    for _ in range(15):
        nearest = ((z[:, None] - centres[None]) ** 2).sum(axis=2).argmin(axis=1)
        groups = [z[nearest == j] for j in range(count)]
        centres = np.stack(
            [g.mean(axis=0) if len(g) else centres[j] for j, g in enumerate(groups)]
        )
    return centres
