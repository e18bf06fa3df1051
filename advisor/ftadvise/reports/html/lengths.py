"""Which curves the chart of run lengths shows: the loss to expect by number of epochs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ftadvise.numbers import count, short
from ftadvise.reports.axes import Axis
from ftadvise.reports.html.plot import Band, Line, Plot, Upright, y_axes
from ftadvise.run import as_floats

if TYPE_CHECKING:
    from ftadvise.advice import Advice

LEAST = 3  # lengths that make a curve


def by_length(advice: Advice) -> Plot | None:
    """Return the chart of the forecast by number of epochs; None where it has too few of them."""
    told = advice.forecast
    if len(told) < LEAST:
        return None
    advised = advice.recommendation
    epochs = as_floats([one.epochs for one in told])
    median = as_floats([one.median for one in told])
    low = as_floats([one.low for one in told])
    high = as_floats([one.high for one in told])
    even, log, in_log = y_axes([*low.tolist(), *high.tolist()])
    near_low, near_high = (min(max(float(e), epochs[0]), epochs[-1]) for e in advised.epochs_range)
    best = f"best {advice.fit.target} loss"
    return Plot(
        said=(
            f"{best} to expect by length of the run, from {short(median[0])} with "
            f"{count(int(epochs[0]), 'epoch')} to {short(median[-1])} with "
            f"{count(int(epochs[-1]), 'epoch')}; {short(advised.expected_eval_loss)} with the "
            f"{advised.num_train_epochs} recommended."
        ),
        unit="epochs of the run",
        lines=(Line(f"{best}, median", "smooth", "line", epochs, median),),
        bands=(Band("90 % interval", "ahead", epochs, low, high),),
        uprights=(
            Upright(
                "recommended, and about as good",
                "advised",
                float(advised.num_train_epochs),
                count(advised.num_train_epochs, "epoch"),
                low=near_low,
                high=near_high,
            ),
        ),
        dots=(),
        x=Axis(float(epochs[0]), float(epochs[-1])),
        y=even,
        y_log=log,
        log=in_log,
        whole=True,
    )
