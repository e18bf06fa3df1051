"""Cases for the rules, made by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from ftadvise.fitting import fit
from ftadvise.onset import Onset, onset
from ftadvise.rules import register_rules
from ftadvise.rules.case import Case, Finding
from ftadvise.run import LearningRates, Run, Series, Settings, as_floats
from ftadvise.schedules import Schedule

PER_EPOCH = 100.0


def curve(key: str, losses: list[float], epochs: float) -> Series:
    """Return evenly spaced losses up to `epochs`, with 100 steps in an epoch."""
    epoch = np.linspace(epochs / len(losses), epochs, len(losses))
    return Series(key, as_floats(epoch * PER_EPOCH), as_floats(epoch), as_floats(losses))


def rates(kind: str, planned: float, done: float | None = None) -> LearningRates:
    """Return 40 learning rates of a schedule made for `planned` epochs, up to `done`."""
    epoch = np.linspace(0.0, done or planned, 41)[1:]
    rate = 2e-5 * Schedule(kind).rate(epoch / planned)
    return LearningRates(
        "learning_rate", as_floats(epoch * PER_EPOCH), as_floats(epoch), as_floats(rate)
    )


def run_of(
    evals: list[float] | None = None,
    train: list[float] | None = None,
    epochs: float = 5.0,
    kind: str | None = None,
    planned: float | None = None,
) -> Run:
    """Return a run with these losses over `epochs`, and the rates of schedule `kind` if given."""
    return Run(
        train=curve("loss", train, epochs) if train else Series(),
        eval=curve("eval_loss", evals, epochs) if evals else Series(),
        lr=rates(kind, planned or epochs, epochs) if kind else LearningRates(),
        planned_epochs=planned,
    )


def case_of(
    run: Run,
    used: Settings | None = None,
    proposed: Settings | None = None,
    gain_per_eval: float = 0.01,
    best_epoch: float = 5.0,
    turning: Onset | None = None,
) -> Case:
    """Return the case of a run; its turning point is the fitted one unless given."""
    used = used or run.settings
    run = replace(run, settings=used)
    fitted = fit(run)
    return Case(
        run,
        fitted,
        turning or onset(fitted),
        used,
        proposed or Settings(),
        gain_per_eval,
        best_epoch,
    )


def findings(case: Case, code: str | None = None) -> list[Finding]:
    """Return what the built-in rules find, or the rule `code` alone."""
    rules = [rule for rule in register_rules() if code in (None, rule.code)]
    return [finding for rule in rules for finding in rule.check(case)]


def scaled(run: Run, factor: float) -> Run:
    """Return the run with all losses times `factor`."""
    return replace(
        run,
        train=replace(run.train, loss=as_floats(run.train.loss * factor)),
        eval=replace(run.eval, loss=as_floats(run.eval.loss * factor)),
    )
