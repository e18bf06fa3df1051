from __future__ import annotations

import math
from pathlib import Path

import numpy as np
from hypothesis import given, settings
from hypothesis import strategies as st

from ftadvise.reports import jsonout
from ftadvise.reports.watching import as_dict, line, picture
from ftadvise.run import Run, Series, as_floats
from ftadvise.watching.evaluations import evaluations_since
from ftadvise.watching.progress import progress_of
from ftadvise.watching.status import Watched

STRANGE = (math.nan, 0.0, -1.0, 1e300, -1e300, 1e-300, 1e-8, 1.0, 1.001, 2.0, 5.0)


@st.composite
def series(draw: st.DrawFn, key: str) -> Series:
    losses = draw(st.lists(st.sampled_from(STRANGE), max_size=15))
    size = len(losses)
    reach = draw(st.sampled_from((0.01, 1.0, 5.0, 1e4)))
    epoch = draw(
        st.sampled_from(
            (np.linspace(0.0, reach, size + 1)[1:], np.full(size, math.nan), np.zeros(size))
        )
    )
    step = draw(st.sampled_from((np.arange(size) + 1.0, np.full(size, math.nan))))
    return Series(key, as_floats(step), as_floats(epoch), as_floats(losses))


@settings(deadline=None, max_examples=60)
@given(
    train=series("loss"),
    held_out=series("eval_loss"),
    planned=st.sampled_from((None, 1e-3, 5.0, 1e6)),
    quiet=st.sampled_from((0.0, 1e7)),
)
def test_whatever_the_log_holds_there_is_a_picture_a_line_and_strict_json(
    train: Series, held_out: Series, planned: float | None, quiet: float
) -> None:
    run = Run(train=train, eval=held_out, planned_epochs=planned)
    watched = Watched()
    watched.update(run, Path("/nowhere/log.json"), 0.0)
    status = watched.status(quiet)
    assert status is not None
    for width in (40, 80):
        assert all(len(one) <= width for one in picture(status, width, 24, price=1.0))
    for at in evaluations_since(run, None):
        assert line(status, progress_of(at))
        assert jsonout.dumps(as_dict(status, progress_of(at)))
