"""How much an evaluation scatters around the curve, read off the log itself.

All noise here is relative: 0.01 is a scatter of one percent of the loss.
"""

from __future__ import annotations

import numpy as np

from ftadvise.run import FloatArray

# What is assumed before the log has shown anything: relative scatter, and how many points that
# assumption is worth. An evaluation repeats the same examples, so it scatters little; a logged
# train loss is the mean of a few batches.
PRIOR_NOISE = {"eval": 0.006, "train": 0.03}
PRIOR_POINTS = 4.0
FLOOR = 2e-4


def second_difference_noise(log_loss: FloatArray) -> float:
    """Return the scatter of `log_loss` by its second differences, which a trend leaves alone.

    ``σ = rms(y[i+1] - 2 y[i] + y[i-1]) / √6`` with differences clipped at three medians, so that
    a single jump does not count as noise.

    Args:
        log_loss: Logarithms of at least three losses, shape (n,).
    """
    bends = np.abs(np.diff(log_loss, 2))
    if not bends.size:
        return float("nan")
    clipped = np.minimum(bends, 3.0 * np.median(bends) + 1e-12)
    return float(np.sqrt(np.mean(clipped**2) / 6.0))


def relative_noise(loss: FloatArray, target: str) -> float:
    """Return the relative scatter of one point, shrunk towards what is usual for its kind.

    The early, steep part of a curve bends by itself, so only the last half is looked at, and
    fewer than six points say nothing.

    Args:
        loss: Positive losses in order of time, shape (n,).
        target: `"eval"` or `"train"`.
    """
    tail = loss[-max(6, loss.size // 2) :]
    prior = PRIOR_NOISE[target]
    if tail.size < 6:
        return prior
    own = second_difference_noise(np.log(tail))
    count = tail.size - 2
    variance = (PRIOR_POINTS * prior**2 + count * own**2) / (PRIOR_POINTS + count)
    return float(max(FLOOR, np.sqrt(variance)))
