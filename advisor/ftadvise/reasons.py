"""Why the advice is what it is, in sentences with their numbers."""

from __future__ import annotations

import math

import numpy as np

from ftadvise.advice import Observed, Recommendation
from ftadvise.fitting import Fit
from ftadvise.gap import LEAST_EVALS
from ftadvise.horizon import Horizons
from ftadvise.numbers import chance, count, percent, short
from ftadvise.onset import Onset
from ftadvise.patience import PATIENCES
from ftadvise.priors import load

AS_GOOD = 0.0005  # of the least expected loss: what is closer shows the same digits
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
    name = (
        "Eval loss"
        if fitted.target == "eval"
        else "Train loss (there are too few eval losses)"
        if fitted.run.eval.loss.size
        else "Train loss (there is no eval loss)"
    )
    first, best, last = map(short, (seen.first_loss, seen.best_eval_loss, seen.last_eval_loss))
    end = f"the last value is {last} at epoch {short(seen.epochs)}"
    if first == best == last:
        return f"{name} stayed at {best} up to epoch {short(seen.epochs)}."
    if seen.first_loss <= seen.best_eval_loss:
        return f"{name} was lowest at its first value, {best} at epoch {short(seen.best_epoch)}; {end}."
    return (
        f"{name} went from {first} to {best} ({seen.loss_reduction_percent:.1f} % lower), best at "
        f"epoch {short(seen.best_epoch)}; {end}."
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
    low, high = recommended.epochs_range
    if horizons.by_habit:
        return (
            f"{low} to {high} epochs by habit: the best epoch rounded up, plus one or two. Without "
            "an eval loss no law can say more."
        )
    return f"{_choice(fitted, horizons)} {_optimum(fitted)}"


def _choice(fitted: Fit, horizons: Horizons) -> str:
    """Say what the number of epochs does best, and show its neighbours."""
    place = int(np.flatnonzero(horizons.epochs == horizons.chosen)[0])
    around = range(max(0, place - 1), min(place + 2, horizons.epochs.size))
    near = ", ".join(_expected(horizons, i) for i in around)
    each = "each number of epochs taken as a run with a schedule of its own"
    least, number = int(horizons.median.argmin()), count(horizons.chosen, "epoch")
    here, there = float(horizons.median[place]), float(horizons.median[least])
    if here - there <= AS_GOOD * abs(there):
        has = "has" if horizons.chosen == 1 else "have"
        return f"{number} {has} the least expected loss, {each}: {near}."
    against = (
        f"a price of {percent(horizons.price)} of the loss an epoch" if horizons.price else ""
    )
    if not against:
        habit = fitted.optimum is None or fitted.optimum.trust < FAMILIAR
        against = "the lean to the habit" if habit else "the optimum of other fine-tunes"
    shown = "" if least in around else f"; the least: {_expected(horizons, least)}"
    weigh = "weighs" if horizons.chosen == 1 else "weigh"
    return f"{number} {weigh} the expected loss against {against}, {each}: {near}{shown}."


def _expected(horizons: Horizons, place: int) -> str:
    number = count(int(horizons.epochs[place]), "epoch")
    return f"{number} {short(float(horizons.median[place]))}"


def _optimum(fitted: Fit) -> str:
    """Say what the number of epochs rests on."""
    found = fitted.optimum
    if found is None:
        return (
            "It is read off the laws alone, with a lean to the habit of one more than the best "
            f"epoch: {_no_gap(fitted)}."
        )
    low, middle, high = (
        _epoch(found.log_epochs + way * 1.645 * found.spread) for way in (-1, 0, 1)
    )
    learned = (
        f"The gap between train and eval loss puts the optimum near {middle} epochs (90 %: {low} to "
        f"{high})"
    )
    counted = (
        f" What {count(len(fitted.peers), 'other run')} of the same fine-tune reached goes before it."
        if fitted.peers
        else ""
    )
    if found.trust < FAMILIAR:
        return (
            f"{learned}; but this log is unlike the fine-tunes that this was learned from, so the "
            f"answer leans to the habit of one more than the best epoch, by "
            f"{percent(1.0 - found.trust)}.{counted}"
        )
    fine_tunes = load("horizon")["provenance"]["fine_tunes"]
    return f"{learned}, as it was in {fine_tunes} fine-tunes run at several lengths.{counted}"


def _no_gap(fitted: Fit) -> str:
    """Say why the gap between train and eval loss tells nothing."""
    if not np.isfinite(fitted.run.train.loss).any():
        return "without train loss there is no gap to the eval loss that could say more"
    if fitted.points.loss.size < LEAST_EVALS:
        return "so few evaluations show no gap to the train loss that could say more"
    return "these losses have no gap, as a ratio, that could say more"


def _epoch(log_epochs: float) -> str:
    epochs = math.exp(log_epochs)
    return f"{epochs:.1f}" if epochs < 100 else short(round(epochs))


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
