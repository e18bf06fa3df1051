"""Sentences that more than one report uses, made safe to show."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ftadvise.numbers import chance, count, short
from ftadvise.text import clean

if TYPE_CHECKING:
    from ftadvise.advice import Advice, EpochForecast

_SURROGATE = re.compile("[\ud800-\udfff]")
LONGEST = 2000  # characters of one message


def said(value: object) -> str:
    """Return a message as one line of harmless text."""
    return clean(value, LONGEST)


def between(low: float, high: float) -> str:
    """Return a range in words."""
    first, last = short(low), short(high)
    return first if first == last else f"{first} to {last}"


def place(path: str, longest: int = 300) -> str:
    """Return where a log lies, as it is shown: the standard input has no path.

    A byte that is no UTF-8 is a mark that it was there: two files stay two.
    """
    if path == "-":
        return "standard input"
    return clean(_SURROGATE.sub("\ufffd", path), longest) or "log"


def title(advice: Advice) -> str:
    """Return path and run, as they were given; of a run that is called as its file, the path."""
    return name(advice.source["path"], advice.source["run"] or "")


def name(path: str, run: str) -> str:
    """Return path and run; of a run without a name, or one that is called as its file, the path."""
    shown, called = place(path), clean(run)
    if not called or f"/{shown}".endswith(f"/{called}"):
        return shown
    return f"{shown} ({called})"


def contents(advice: Advice) -> str:
    """Return what was read: format, points with the key they stood under, epochs and schedule."""
    seen, run = advice.observed, advice.run
    pairs = ((seen.train_points, "train", run.train.key), (seen.eval_points, "eval", run.eval.key))
    losses = [
        f"{n} {kind} {'loss' if n == 1 else 'losses'} ({clean(key, 40)})"
        for n, kind, key in pairs
        if n
    ]
    length = short(seen.epochs)
    parts = [" and ".join(losses), f"{length} {'epoch' if length == '1' else 'epochs'}"]
    if seen.steps_per_epoch:
        parts[-1] += f" of {short(seen.steps_per_epoch)} steps"
    if seen.lr_schedule:
        parts.append(f"{clean(seen.lr_schedule, 40)} schedule")
    return ", ".join([clean(advice.source["format"], 40), *parts])


def other_runs(advice: Advice) -> str:
    """Return which runs lie beside this one in its file or folder; empty when there are none."""
    others = [clean(name, 40) for name in advice.run.source.others]
    if not others:
        return ""
    shown = ", ".join(others[:5]) + (", ..." if len(others) > 5 else "")
    return f"{count(len(others), 'other run')} beside this one: {shown} (--run NAME or --all)"


def epochs(advice: Advice) -> str:
    """Return how long the next run should be."""
    advised = advice.recommendation
    low, high = advised.epochs_range
    number = count(advised.num_train_epochs, "epoch")
    return number if low == high else f"{number} ({low} to {high} are about as good)"


def cadence(advice: Advice) -> str:
    """Return how often to evaluate and save, and how many checkpoints to keep."""
    advised = advice.recommendation
    every = count(advised.eval_steps, "step") if advised.eval_steps else "epoch"
    kept = count(advised.save_total_limit, "checkpoint")
    return f"evaluate and save every {every}, keep {kept}".replace("every 1 step,", "every step,")


def stopping(advice: Advice) -> str:
    """Return when to stop early."""
    advised = advice.recommendation
    threshold = plain(advised.early_stopping_threshold)
    return f"patience {advised.early_stopping_patience}, threshold {threshold}"


def expected(advice: Advice) -> str:
    """Return the loss to expect, with its range."""
    loss = f"{advice.fit.target} loss {short(advice.recommendation.expected_eval_loss)}"
    at = chosen(advice)
    return f"{loss} (90 %: {between(at.low, at.high)})" if at else loss


def false_stop(advice: Advice) -> str:
    """Return how likely it is that early stopping comes too early."""
    likely = chance(advice.recommendation.probability_of_false_stop)
    return f"{likely} chance of stopping too early"


def keeping(advice: Advice) -> str:
    """Return the other answer: the checkpoint to keep, and what training again should gain."""
    kept = advice.keep
    if kept.expected_gain_percent is None or kept.gain_interval_percent is None:
        return checkpoint(advice)
    low, high = kept.gain_interval_percent
    return f"{checkpoint(advice)}; {gaining(kept.expected_gain_percent, high, low)}"


def checkpoint(advice: Advice) -> str:
    """Return the checkpoint to keep, with its loss."""
    where = f"the checkpoint of epoch {short(advice.keep.epoch)}"
    if advice.keep.epoch <= 0:
        where = "the model as it was before training"
    return f"{where} ({_losses(advice)})"


def gaining(middle: float, most: float, least: float) -> str:
    """Return what training again should gain, in per cent of the loss."""
    return f"training again should end {_lower(middle)} (90 %: {_lower(least)} to {_lower(most)})"


def _losses(advice: Advice) -> str:
    """Return the loss of the checkpoint to keep, as logged and without the luck of the lowest."""
    kept = advice.keep
    logged = f"{advice.fit.target} loss {short(kept.eval_loss)}"
    if kept.expected_eval_loss is None or short(kept.expected_eval_loss) == short(kept.eval_loss):
        return logged
    return f"{logged}; {short(kept.expected_eval_loss)} on the smoothed curve"


def _lower(percent: float) -> str:
    return f"{abs(percent):.1f} % {'lower' if percent >= 0 else 'higher'}"


def overfitting(advice: Advice) -> str:
    """Return in one sentence whether the run overfitted, and where."""
    found = advice.overfitting
    if found.onset_epoch is None or found.interval is None:
        if found.status == "none":
            return f"none seen up to epoch {short(advice.observed.epochs)}"
        return (
            f"not identified: this log cannot tell (chance of a turn: {chance(found.probability)})"
        )
    low, high = found.interval
    turn = f"turn at {short(low)}"
    if low != high:
        turn = f"turn between {short(low)} and {short(high)}"
    verb = "detected" if found.status == "detected" else "suspected"
    return f"{verb} from epoch {short(found.onset_epoch)} ({turn}; {chance(found.probability)} likely)"


def chosen(advice: Advice) -> EpochForecast | None:
    """Return the forecast for the recommended number of epochs."""
    wanted = advice.recommendation.num_train_epochs
    return next((f for f in advice.forecast if f.epochs == wanted), None)


def plain(number: float) -> str:
    """Return a small number without exponent, as in `0.0005`."""
    return f"{number:.10f}".rstrip("0").rstrip(".") if 1e-9 < abs(number) < 1 else short(number)
