"""What `--auto` chose, put into a config where nobody has written anything."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from ftadvise.numbers import count, short
from ftadvise.text import clean
from ftadvise_trainer.auto.next_run import FILE
from ftadvise_trainer.errors import TrainError
from ftadvise_trainer.settings.checks import problems
from ftadvise_trainer.settings.keys import AUTO_SCHEDULE

if TYPE_CHECKING:
    from collections.abc import Mapping

    from ftadvise.history import Prediction
    from ftadvise_trainer.auto.choice import Choice
    from ftadvise_trainer.config import Config, TrainingConfig

_CADENCE = ("eval_strategy", "eval_steps", "save_strategy", "save_steps")
_STOPPING = ("early_stopping_patience", "early_stopping_threshold")
_AGAINST_AUTO = (
    "lr_scheduler_type", "early_stopping_patience", "stop_when_eval_rises_while_train_falls",
)  # fmt: skip


@dataclass(frozen=True)
class Settled:
    """A config with what was chosen in it.

    Attributes:
        config: The settings to train with.
        lines: What to tell the person who watches.
        prediction: What is foretold of the run; None where nothing is.
    """

    config: Config
    lines: tuple[str, ...]
    prediction: Prediction | None


def merged(
    config: Config, choice: Choice, *, override: bool, said: tuple[str, ...] = ()
) -> Settled:
    """Put what was chosen where nobody has written anything, or everywhere with `override`.

    Args:
        config: The settings as they are written.
        choice: What was chosen for them.
        override: Whether it goes before what is written.
        said: What else to tell, after what the choice rests on.

    Raises:
        TrainError: FT501, what was chosen and what is written do not go together.
    """
    written = frozenset() if override else config.written or frozenset()
    taken = dict(choice.settings)
    if set(_CADENCE) & written:
        taken = {key: value for key, value in taken.items() if key not in _CADENCE}
    ruled_out = [] if override else _ruled_out(config, taken, written)
    for keys, _ in ruled_out:
        taken = {key: value for key, value in taken.items() if key not in keys}
    kept = {key: taken.pop(key) for key in tuple(taken) if key in written}
    kept_for = (*(why for _, why in ruled_out), *_differences(config, kept))
    sources = {key: source for key, source in config.sources.items() if key not in taken}
    training = replace(config.training, **taken)
    made = replace(config, training=_fitting(training, override), sources=sources)
    _check(config, made)
    foretold = choice.prediction
    if foretold is not None and foretold.epochs != taken.get("num_train_epochs"):
        foretold = None
    plan = _plan(made, foretold) if taken else ()
    changed = {k: v for k, v in taken.items() if v or getattr(config.training, k)}
    return Settled(made, (*choice.lines, *said, *plan, *kept_for, _listed(changed)), foretold)


def _ruled_out(
    config: Config, taken: Mapping[str, Any], written: frozenset[str]
) -> list[tuple[tuple[str, ...], str]]:
    """Return which of the chosen settings what is written rules out, and why."""
    training = config.training
    found: list[tuple[tuple[str, ...], str]] = []
    against = [key for key in _AGAINST_AUTO if key in written]
    if "lr_scheduler_kwargs" in written and not _of_auto(training):
        against.append("lr_scheduler_kwargs")
    blind = training.eval_strategy == "no"
    if blind:
        against.append("eval_strategy no")
    if taken.get("lr_scheduler_type") == AUTO_SCHEDULE and against:
        # The most epochs that an open run may take are no advice for one that is not open.
        keys = tuple(key for key in taken if key not in _CADENCE)
        why = f"the config sets {against[0]}, so the schedule and its length stay as they are"
        found.append((keys, why))
    elif blind and "early_stopping_patience" in taken:
        found.append((_STOPPING, "the config sets eval_strategy no, so nothing can stop the run"))
    most = training.more.get("max_steps")
    if _is_limit(most) and "num_train_epochs" in taken:
        found.append((("num_train_epochs",), f"the config sets max_steps {most}, which is kept"))
    return found


def _fitting(training: TrainingConfig, override: bool) -> TrainingConfig:
    """Leave out what would come between a schedule or a number of epochs and what was chosen."""
    away = {"max_steps"} if override else set[str]()
    is_auto = training.lr_scheduler_type == AUTO_SCHEDULE
    if (is_auto and override) or (not is_auto and _of_auto(training)):
        away.add("lr_scheduler_kwargs")
    if not away & training.more.keys():
        return training
    return replace(training, more={k: v for k, v in training.more.items() if k not in away})


def _of_auto(training: TrainingConfig) -> bool:
    """Say whether the keywords that are written for the schedule are those of `auto`."""
    given: Any = training.more.get("lr_scheduler_kwargs")
    return isinstance(given, dict) and given.keys() == {"decay_epochs"}


def _is_limit(most: object) -> bool:
    return isinstance(most, int) and most > 0


def _plan(config: Config, foretold: Prediction | None) -> tuple[str, ...]:
    """Say what kind of run it will be."""
    training = config.training
    if training.lr_scheduler_type == AUTO_SCHEDULE:
        most: Any = training.more.get("max_steps")
        epochs = training.num_train_epochs
        limit = f"{epochs:g} epoch{'' if epochs == 1 else 's'}"
        limit = count(most, "step") if _is_limit(most) else limit
        held = "the rate is held until the run's own curves say that the end is near"
        return (f"{held}, for {limit} at most, and then decays",)
    if foretold is None:
        return ()
    said = f"expected eval loss {short(foretold.eval_loss)}"
    if foretold.low is not None and foretold.high is not None:
        said += f" (90 %: {short(foretold.low)} to {short(foretold.high)})"
    return (said,)


def _differences(config: Config, kept: Mapping[str, Any]) -> tuple[str, ...]:
    """Say what the config sets otherwise than it would have been chosen."""
    there = {key: getattr(config.training, key) for key in kept}
    found = [
        f"{key} {_value(value)}, not {_value(kept[key])}"
        for key, value in there.items()
        if value != kept[key]
    ]
    return (f"the config sets {'; '.join(found)}",) if found else ()


def _check(before: Config, made: Config) -> None:
    known = set(problems(before))
    wrong = [f"{section}.{key} {text}" for section, key, text in set(problems(made)) - known]
    if wrong:
        raise TrainError(
            f"What --auto chose does not go with the config: {clean('; '.join(wrong), 500)}",
            hint="Leave those keys out of the config, or take --auto=override; what was chosen for "
            f"a run stands in its {FILE}.",
        )


def _listed(taken: Mapping[str, Any]) -> str:
    if not taken:
        return "nothing is left to choose: the config sets it all"
    said = [f"{key} {_value(value)}" for key, value in taken.items() if key not in _CADENCE]
    if set(_CADENCE) <= taken.keys() and taken["eval_steps"] == taken["save_steps"]:
        said.append(f"evaluate and save every {count(taken['eval_steps'], 'step')}")
    else:
        said += [f"{key} {_value(value)}" for key, value in taken.items() if key in _CADENCE]
    return ", ".join(said)


def _value(value: Any) -> str:
    """Return a value as in a YAML, a whole number without its `.0`."""
    if value is None:
        return "none"
    return f"{value:g}" if isinstance(value, float) else clean(value, 100)
