"""The promises of a stop policy: a pure function that never looks ahead."""

from __future__ import annotations

import math
import operator
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ftadvise.errors import UsageError
from ftadvise.stopping import StopPolicy, register_stop_policies, watched
from ftadvise.testing.made import known_run, odd_runs
from ftadvise.testing.promises import answer, require, require_name, require_type

if TYPE_CHECKING:
    from ftadvise.run import FloatArray, LearningRates, Run, Series

RUNS = 120
PATIENCES = (1, 2, 3, 5)
THRESHOLDS = (0.0, 0.01)


def check_policy(policy: StopPolicy, *, patience_delays: bool = True) -> None:
    """Check that `policy` keeps the promises that a replay and a live run rely on.

    On many made runs, with NaN and without evaluations among them, it must answer None or the
    number of an evaluation, the same every time, and leave the run alone. It must not look ahead:
    what it decides at an evaluation stays as it is when more of the run is known.

    Args:
        policy: The policy to check.
        patience_delays: Whether more patience may only make it stop later, as it should.

    Raises:
        AssertionError: The policy breaks a promise.
    """
    require_type(policy, StopPolicy, "register_stop_policies")
    what = require_name(policy.name, "policy")
    ours = {one.name: one for one in register_stop_policies()}
    require(ours.get(policy.name, policy) == policy, f"{what}: ftadvise has one of that name")
    require(bool(policy.description), f"{what} has no description for `ftadvise plugins`")
    patience, threshold = policy.patience, policy.threshold
    whole = isinstance(patience, int) and patience >= 1  # pyright: ignore[reportUnnecessaryIsInstance]
    require(whole, f"{what}: its own patience is {patience!r}, not a whole number from 1")
    require(
        math.isfinite(threshold) and threshold >= 0,
        f"{what}: its own threshold is {threshold!r}, not a finite number from 0",
    )
    runs = (*odd_runs(RUNS, holes=False), *(known_run(rise=rise) for rise in (0.0, 0.1)))
    for run in runs:
        if len(watched(run)):
            _check_looks_back_only(policy, run, what)
            _check_settings(policy, run, what, patience_delays)


def _check_looks_back_only(policy: StopPolicy, run: Run, what: str) -> None:
    stop = _stop(policy, run, policy.patience, policy.threshold, what)
    total = len(watched(run))
    for seen in range(1, total):
        found = _stop(policy, until(run, seen), policy.patience, policy.threshold, what)
        expected = stop if stop is not None and stop <= seen else None
        require(
            found == expected,
            f"{what} looks ahead: of {total} evaluations it stops at {stop}, but when the first "
            f"{seen} are all there is, at {found}",
        )


def _check_settings(policy: StopPolicy, run: Run, what: str, patience_delays: bool) -> None:
    for threshold in THRESHOLDS:
        before = 0.0
        for patience in PATIENCES:
            try:
                stop = _stop(policy, run, patience, threshold, what)
            except UsageError:  # it may have no use for a setting that is not its own
                continue
            at = math.inf if stop is None else float(stop)
            require(
                not patience_delays or at >= before,
                f"{what} stops earlier (at {stop}) with patience {patience} than with less of it "
                f"(at {before:.0f}); where that is meant, check_policy(..., patience_delays=False)",
            )
            before = at


def _stop(policy: StopPolicy, run: Run, patience: int, threshold: float, what: str) -> int | None:
    """Return the answer of a policy, which has to be the same when it is asked twice."""

    def asked() -> Any:
        try:
            return policy.stop_at(run, patience, threshold)
        except UsageError as error:
            return error

    found, again = answer(what, asked), answer(what, asked)
    if isinstance(found, UsageError):
        own = (patience, threshold) == (policy.patience, policy.threshold)
        require(not own, f"{what} refuses its own settings: {found}")
        raise found
    total = len(watched(run))
    number = None if found is None or isinstance(found, bool) else _whole(found)
    require(
        found is None or (number is not None and 1 <= number <= total),
        f"{what} stops at {found!r}; with {total} evaluations that is None or 1 to {total}",
    )
    require(found == again, f"{what} answers {found!r}, and {again!r} when it is asked again")
    return number


def _whole(found: Any) -> int | None:
    try:
        return operator.index(found)
    except TypeError:
        return None


def until(run: Run, evaluation: int) -> Run:
    """Return what was known of a run right after that evaluation, counted from 1.

    A train loss is known when its step, or its epoch where steps are unknown, has come; where
    both are unknown, by its share of the log.
    """
    curve = watched(run)
    at = evaluation - 1
    share = evaluation / len(curve)

    def known(series: Series | LearningRates) -> slice:
        for times, now in ((series.step, curve.step[at]), (series.epoch, curve.epoch[at])):
            if np.isfinite(times).all() and np.isfinite(now):
                return slice(int(_count(times, float(now))))
        return slice(math.floor(share * len(series)))

    rates = known(run.lr)
    lr = replace(
        run.lr, step=run.lr.step[rates], epoch=run.lr.epoch[rates], rate=run.lr.rate[rates]
    )
    if len(run.eval):
        return replace(
            run,
            train=run.train.take(known(run.train)),
            eval=run.eval.take(slice(evaluation)),
            lr=lr,
        )
    return replace(run, train=run.train.take(slice(evaluation)), lr=lr)


def _count(times: FloatArray, now: float) -> int:
    return int(np.searchsorted(times, now, side="right"))
