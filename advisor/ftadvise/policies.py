"""What a stop policy would have done on a finished log: policies by name, and their replay."""

from __future__ import annotations

import operator
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from ftadvise import plugins
from ftadvise.display import Card
from ftadvise.errors import LogError, PluginError, UsageError
from ftadvise.stopping import StopPolicy, check_settings, register_stop_policies, watched
from ftadvise.text import nearest

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ftadvise.run import FloatArray, Run, Series

_SETTINGS = {"patience": "patience", "threshold": "threshold", "min_delta": "threshold"}
_EXAMPLE = "A policy reads like transformers:patience=3,threshold=0.001."


@dataclass(frozen=True)
class Replay(Card):
    """What a stop policy would have done on a finished log.

    Attributes:
        policy: The policy with its settings, such as `"transformers:patience=3,threshold=0"`.
        series: The curve it was judged on: `"eval"`, or `"train"` when the log has no eval loss.
        unit: What `stop_epoch` and `best_epoch` count: `"epoch"`, `"step"` when the log does not
            give the epoch of every evaluation, `"evaluation"` when it gives neither.
        stopped: Whether it stops at one of the evaluations of the log, the last one included.
        stop_epoch: Epoch of the evaluation at which it stops; the last evaluation's when it does
            not.
        best_epoch: Epoch of the best evaluation up to there, the checkpoint to keep; the first
            of equals. NaN when no loss is finite.
        best_loss: Loss at `best_epoch`.
        evals_spent: Evaluations done when it stops.
        evals_total: Evaluations in the log.
        regret: `best_loss` above the best loss of the whole log, as a fraction of the latter.
            NaN when there is no finite loss up to the stop.
    """

    policy: str
    series: str
    unit: str
    stopped: bool
    stop_epoch: float
    best_epoch: float
    best_loss: float
    evals_spent: int
    evals_total: int
    regret: float


def policies() -> dict[str, StopPolicy]:
    """Return all stop policies by name. A plugin cannot replace one of ours."""
    ours = {policy.name: policy for policy in register_stop_policies()}
    found = [p for p in plugins.collect("register_stop_policies") if isinstance(p, StopPolicy)]
    return ours | {policy.name: policy for policy in found} | ours


def policy_named(name: str) -> StopPolicy:
    """Return the stop policy called `name`.

    Raises:
        UsageError: If there is none (FT411); its hint lists those that there are.
    """
    known = policies()
    if name in known:
        return known[name]
    raise UsageError(f"no stop policy is called {name!r}", hint=_suggest(name, known))


def parse_policy(spec: str) -> tuple[StopPolicy, int, float]:
    """Return the policy, patience and threshold that `spec` asks for.

    Args:
        spec: The name of a policy, with settings after a colon where its own are not wanted:
            `"transformers:patience=3,threshold=0.001"`. `min_delta` means `threshold`.

    Raises:
        UsageError: If the policy or a setting is unknown, or a value makes no sense (FT411).
    """
    name, colon, rest = spec.partition(":")
    policy = policy_named(name.strip().lower())
    given: dict[str, str] = {}
    for part in rest.split(",") if colon else ():
        key, equals, value = (text.strip() for text in part.partition("="))
        if not equals or not value:
            raise UsageError(f"{part.strip()!r} in {spec!r} is not a setting", hint=_EXAMPLE)
        if key not in _SETTINGS:
            raise UsageError(f"a stop policy has no {key!r}", hint=_suggest(key, _SETTINGS))
        if _SETTINGS[key] in given:
            raise UsageError(f"{_SETTINGS[key]} is given twice in {spec!r}", hint=_EXAMPLE)
        given[_SETTINGS[key]] = value
    patience, threshold = policy.patience, policy.threshold
    try:
        if "patience" in given:
            patience = int(given["patience"])
        if "threshold" in given:
            threshold = float(given["threshold"])
    except ValueError:
        raise UsageError(
            f"patience must be a whole number and threshold a number in {spec!r}", hint=_EXAMPLE
        ) from None
    check_settings(patience, threshold)
    return policy, patience, threshold


def replay(run: Run, policy: str | StopPolicy) -> Replay:
    """Return what `policy` would have done on `run`, had it been in force.

    The policy sees every evaluation, those with a non-finite loss included. A log without eval
    loss is judged by its train loss, and `Replay.series` says so.

    Args:
        run: A run, finished or not.
        policy: A policy as `parse_policy` takes it, or a policy with its own settings.

    Raises:
        LogError: If the run has no loss at all (FT405).
        UsageError: If `policy` is unknown or its settings make no sense (FT411).
        PluginError: If the policy fails or answers with something that is no evaluation of the
            log (FT901).
    """
    if isinstance(policy, str):
        policy, patience, threshold = parse_policy(policy)
    else:
        patience, threshold = policy.patience, policy.threshold
    series = watched(run)
    total = len(series)
    if not total:
        raise LogError("the log has no loss to replay a stop policy on", code="FT405")
    stop = _ask(policy, run, patience, threshold, total)
    spent = total if stop is None else stop
    unit, position = _positions(series)
    losses = np.where(np.isfinite(series.loss), series.loss, np.inf)
    best = int(losses[:spent].argmin())
    found = bool(np.isfinite(losses[best]))
    return Replay(
        policy=f"{policy.name}:patience={patience},threshold={_plain(threshold)}",
        series="eval" if len(run.eval) else "train",
        unit=unit,
        stopped=stop is not None,
        stop_epoch=float(position[spent - 1]),
        best_epoch=float(position[best]) if found else np.nan,
        best_loss=float(losses[best]) if found else np.nan,
        evals_spent=spent,
        evals_total=total,
        regret=_regret(float(losses[best]), float(losses.min())),
    )


def _ask(policy: StopPolicy, run: Run, patience: int, threshold: float, total: int) -> int | None:
    """Return `policy`'s answer, checked: an evaluation from 1 to `total`, or None."""
    try:
        answer = policy.stop_at(run, patience, threshold)
        stop = None if answer is None else operator.index(answer)
    except UsageError:
        raise
    except Exception as error:
        raise PluginError(
            f"stop policy {policy.name!r} failed: {type(error).__name__}: {error}"
        ) from error
    if isinstance(answer, bool) or (stop is not None and not 1 <= stop <= total):
        raise PluginError(
            f"stop policy {policy.name!r} stops at {answer!r}, but the log has {total} evaluations",
            hint="A policy returns the number of evaluations done, from 1, or None.",
        )
    return stop


def _positions(series: Series) -> tuple[str, FloatArray]:
    """Return the first unit of time that is known at every point, and the points in it."""
    for unit, position in (("epoch", series.epoch), ("step", series.step)):
        if np.isfinite(position).all():
            return unit, position
    return "evaluation", np.arange(1.0, len(series) + 1)


def _regret(kept: float, best: float) -> float:
    if not np.isfinite(kept):
        return np.nan
    if kept == best:
        return 0.0
    return (kept - best) / abs(best) if best else np.inf


def _plain(number: float) -> str:
    """Return `number` in the fewest digits that read back as the same number."""
    return repr(float(number)).removesuffix(".0")


def _suggest(name: str, known: Iterable[str]) -> str:
    meant = nearest(name, known)
    guess = f"Did you mean {meant!r}? " if meant else ""
    return f"{guess}Known: {', '.join(known)}."
