"""How well is the end of a curve of a small network forecast, beside its last value?

usage: python benchmarks/published/lcbench.py FOLDER [--curves N]

FOLDER holds `*.npz` of LCBench as jandylin/Latent-Kronecker-GPs carries it: `Y` (2000, 52) is the
validation cross-entropy per epoch, column 0 before training. N curves of each data set are drawn
with a fixed seed among those that learn, made known to 20, 40 and 60 % of 51 epochs, and the last
value is forecast. The log has no learning rate and no train loss. Printed are the median and the
mean (capped at 1) of |predicted / true - 1|, and how many true values the 90 % interval holds.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np

from ftadvise.forecasting import forecast
from ftadvise.run import FloatArray, Run, Series, Settings, as_floats

SHARES = (0.2, 0.4, 0.6)
LEARNED = 0.98  # a curve has learned when its best loss is below this share of its first


def as_run(losses: FloatArray, epochs: int) -> Run:
    """Return a run that has logged these losses, one an epoch, of `epochs` planned."""
    epoch = as_floats(np.arange(1.0, losses.size + 1.0))
    return Run(
        eval=Series("eval_loss", epoch, epoch, as_floats(losses)),
        planned_epochs=float(epochs),
        settings=Settings(),
    )


def drawn(path: Path, count: int) -> FloatArray:
    """Return some curves that learn, without the value before training, shape (n, 51)."""
    table: FloatArray = np.load(path)["Y"]
    learns = (table.min(axis=1) < LEARNED * table[:, 0]) & np.isfinite(table).all(axis=1)
    places = np.flatnonzero(learns & (table.min(axis=1) > 0))
    chosen = np.random.default_rng(0).choice(places, min(count, places.size), replace=False)
    return table[chosen, 1:]


def main() -> None:
    """Print one line for each share."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("folder", type=Path)
    parser.add_argument("--curves", type=int, default=25)
    options = parser.parse_args()
    files = sorted(options.folder.glob("*.npz"))
    curves = np.concatenate([drawn(file, options.curves) for file in files])
    print(f"{len(curves)} curves of {len(files)} data sets; errors in %")
    print("known    last value       ftadvise         90 % interval holds")
    for share in SHARES:
        seen = round(share * curves.shape[1])
        last = np.minimum(np.abs(curves[:, seen - 1] / curves[:, -1] - 1.0), 1.0)
        off, held = np.ones(len(curves)), np.zeros(len(curves))
        for i, curve in enumerate(curves):
            found = forecast(as_run(curve[:seen], curve.size), at=float(curve.size))
            off[i] = min(abs(found.median / curve[-1] - 1.0), 1.0)
            held[i] = found.low <= curve[-1] <= found.high
        both = "".join(f"{100 * np.median(e):7.2f} {100 * e.mean():7.2f}  " for e in (last, off))
        print(f"{100 * share:3.0f} %  {both}  {100 * held.mean():5.1f} %")


if __name__ == "__main__":
    main()
