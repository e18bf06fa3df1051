"""Why the advice is what it is, in sentences with their numbers."""

from __future__ import annotations

import math

import numpy as np

from ftadvise.advice import Observed, Recommendation
from ftadvise.fitting import Fit
from ftadvise.horizon import Horizons
from ftadvise.numbers import chance, count, percent, short
from ftadvise.onset import Onset
from ftadvise.patience import PATIENCES
from ftadvise.priors import load

FAMILIAR = 0.9  # trust below which the reason says that the log is unlike what is known


def reasons(
    fitted: Fit, seen: Observed, turning: Onset, horizons: Horizons, recommended: Recommendation
) -> tuple[str, ...]:
    """Return the reasons, most important first."""
    return (
        _course(fitted, seen),
        _overfitting(fitted, turning),
        _epochs(fitted, horizons, recommended),
        _patience(fitted, recommended),
        _threshold(recommended),
        _cadence(recommended),
        _model(fitted),
    )


def _course(fitted: Fit, seen: Observed) -> str:
    name = "Eval loss" if fitted.target == "eval" else "Train loss (there is no eval loss)"
    return (
        f"{name} went from {short(seen.first_loss)} to {short(seen.best_eval_loss)} "
        f"({seen.loss_reduction_percent:.1f} % lower), best at epoch {short(seen.best_epoch)}; the "
        f"last value is {short(seen.last_eval_loss)} at epoch {short(seen.epochs)}."
    )


def _overfitting(fitted: Fit, turning: Onset) -> str:
    likely = chance(turning.probability)
    if turning.onset_epoch is None or turning.interval is None:
        known = "No sign of overfitting" if turning.status == "none" else "The log cannot tell"
        return f"{known}: the chance that the curve had turned up by its end is {likely}."
    low, high = turning.interval
    where = (
        f"between epochs {short(low)} and {short(high)}"
        if high > low
        else f"after epoch {short(low)}"
    )
    kind = "" if fitted.target == "eval" else " (of the train loss, which is weak evidence)"
    return (
        f"The curve turned up{kind} {where}, with a chance of {likely}; the first point past its "
        f"valley is epoch {short(turning.onset_epoch)}."
    )


def _epochs(fitted: Fit, horizons: Horizons, recommended: Recommendation) -> str:
    chosen = recommended.num_train_epochs
    low, high = recommended.epochs_range
    if horizons.by_habit:
        return (
            f"{low} to {high} epochs by habit: the best epoch rounded up, plus one or two. Without "
            "an eval loss no law can say more."
        )
    near = [
        f"{count(int(e), 'epoch')} {short(m)}"
        for e, m in zip(horizons.epochs, horizons.median, strict=True)
        if e in (chosen - 1, chosen, chosen + 1)
    ]
    has = "has" if chosen == 1 else "have"
    return (
        f"{count(chosen, 'epoch')} {has} the least expected loss, each number of epochs taken as a "
        f"run with a schedule of its own: {', '.join(near)}. {_optimum(fitted)}"
    )


def _optimum(fitted: Fit) -> str:
    """Say what the number of epochs rests on."""
    found = fitted.optimum
    if found is None:
        return (
            "It is read off the laws alone, with a lean to the habit of one more than the best "
            "epoch: without train loss there is no gap to the eval loss that could say more."
        )
    low, high = (math.exp(found.log_epochs + way * 1.645 * found.spread) for way in (-1, 1))
    where = f"{math.exp(found.log_epochs):.1f} epochs (90 %: {low:.1f} to {high:.1f})"
    others = (
        f", which {count(len(fitted.peers), 'other run')} of the same fine-tune made more sure"
        if fitted.peers
        else ""
    )
    learned = f"The gap between train and eval loss puts the optimum near {where}{others}"
    if found.trust < FAMILIAR:
        return (
            f"{learned}; but this log is unlike the fine-tunes that this was learned from, so the "
            f"answer leans to the habit of one more than the best epoch, by "
            f"{percent(1.0 - found.trust)}."
        )
    fine_tunes = load("horizon")["provenance"]["fine_tunes"]
    return f"{learned}, as it was in {fine_tunes} fine-tunes run at several lengths."


def _patience(fitted: Fit, recommended: Recommendation) -> str:
    patience = recommended.early_stopping_patience
    scatter = f"one evaluation scatters by {percent(fitted.noise)}"
    if patience > PATIENCES[-1]:
        return (
            f"No patience up to {PATIENCES[-1]} is safe, since {scatter}: {patience} never fires in "
            "a run of this length. Evaluate less often or on more data to stop early."
        )
    return (
        f"Patience {patience} is the smallest that stops fewer than 1 in 20 simulated runs before "
        f"a clearly better evaluation, in a run of this length and in one twice as long; {scatter}."
    )


def _threshold(recommended: Recommendation) -> str:
    threshold = recommended.early_stopping_threshold
    if threshold == 0:
        return "Threshold 0: any gain counts, since transformers never adds up gains below it."
    return (
        f"Threshold {short(threshold)} stays below both the noise and the gain expected from one "
        "evaluation to the next, since transformers never adds up gains below it."
    )


def _cadence(recommended: Recommendation) -> str:
    if recommended.eval_steps is None:
        return "Evaluate and save once an epoch: the log does not say how many steps an epoch has."
    return (
        f"Evaluate and save every {recommended.eval_steps} steps, both at once so that every "
        f"evaluated model can be the one that is kept; keep {recommended.save_total_limit} "
        "checkpoints, since the best may turn out to be any of so many."
    )


def _model(fitted: Fit) -> str:
    shares = [f"{law.name} {percent(law.share)}" for law in fitted.laws if law.share >= 0.01]
    rate = fitted.schedule.kind if fitted.schedule.known else f"{fitted.schedule.kind} (assumed)"
    size = int(np.sum(fitted.points.count))
    return f"Fitted to {size} points with a {rate} learning rate; laws: {', '.join(shares)}."
