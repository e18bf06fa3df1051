"""Options that several commands have: the format, which run and which series to take; values."""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import wraps
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ftadvise.cli import messages

if TYPE_CHECKING:
    from collections.abc import Callable

    from ftadvise.readers.wanted import Wanted
    from ftadvise.run import Run

_F = TypeVar("_F", bound="Callable[..., Any]")

NO_SERIES = "none"


@dataclass(frozen=True)
class Take:
    """What is to be taken of each log.

    Attributes:
        run: Name of the run; None for the one that is most likely meant.
        key: Name of the train loss; None for the one that its name says, empty for none.
        eval_key: Name of the eval loss, likewise.
        every: Whether all runs are to be taken.
        steps_per_epoch: Optimizer steps in an epoch, where the log does not say.
    """

    run: str | None = None
    key: str | None = None
    eval_key: str | None = None
    every: bool = False
    steps_per_epoch: float | None = None

    @property
    def wanted(self) -> Wanted:
        """The series that were asked for."""
        from ftadvise.readers.wanted import Wanted

        return Wanted(self.key, self.eval_key)

    def one(self, path: str) -> Run:
        """Read the run to take, and say on stderr which one it is, of several."""
        from ftadvise.readers import read

        run = read(path, self.run, self.key, self.eval_key)
        if self.run is None and run.source.others:
            say_which(path, run)
        return self.timed(run)

    def timed(self, run: Run) -> Run:
        """Return a run with the epochs that the steps make, where that was asked for."""
        if self.steps_per_epoch is None:
            return run
        from ftadvise.readers.series.passes import with_steps_per_epoch

        return with_steps_per_epoch(run, self.steps_per_epoch)


def say_which(path: str, run: Run) -> None:
    """Say on stderr which of the runs in a log or folder was taken."""
    from ftadvise.text import clean

    messages.say(
        "note",
        f"took {clean(run.source.run, 100)!r} of the {len(run.source.others) + 1} runs in "
        f"{clean(path, 300)}: --run NAME takes another",
    )


def output_format(*names: str) -> Callable[[_F], _F]:
    """Return the option `--format`, as `form`: one of `names`, the first where it is left out."""
    return click.option(
        "--format",
        "form",
        type=click.Choice(names),
        default=names[0],
        show_default=True,
        help="Format of the output.",
    )


def series(command: _F) -> _F:
    """Add `--run`, `--key` and `--eval-key` to a command, as `take`."""

    @click.option(
        "--run",
        "name",
        metavar="NAME",
        help="The run to take, of several in a file or folder: its name, or a part of it.",
    )
    @click.option(
        "--key",
        metavar="NAME",
        callback=_key,
        help="The series to take as the train loss, by its name in the log; none for no series.",
    )
    @click.option(
        "--eval-key",
        metavar="NAME",
        callback=_key,
        help="The series to take as the eval loss; none for no series.",
    )
    @wraps(command)
    def with_take(
        *args: Any,
        name: str | None,
        key: str | None,
        eval_key: str | None,
        every: bool = False,
        steps_per_epoch: float | None = None,
        **others: Any,
    ) -> Any:
        if name is not None and every:
            raise click.UsageError(
                "--run and --all exclude each other", click.get_current_context()
            )
        return command(*args, take=Take(name, key, eval_key, every, steps_per_epoch), **others)

    return with_take  # type: ignore[return-value]


def _key(ctx: click.Context, param: click.Parameter, value: str | None) -> str | None:
    return "" if value is not None and value.strip().lower() == NO_SERIES else value


def finite(ctx: click.Context, param: click.Parameter, value: float | None) -> float | None:
    """Refuse NaN and infinity, which click takes for numbers."""
    if value is None or math.isfinite(value):
        return value
    raise click.BadParameter(f"{value} is not a finite number", ctx, param)


def above_zero(ctx: click.Context, param: click.Parameter, value: float | None) -> float | None:
    """Refuse what is not a finite number above zero."""
    if value is None or (math.isfinite(value) and value > 0):
        return value
    raise click.BadParameter(f"{value} is not a number above zero", ctx, param)


def reading(command: _F) -> _F:
    """Add `--steps-per-epoch` to the options of `series`."""
    steps = click.option(
        "--steps-per-epoch",
        type=float,
        callback=above_zero,
        metavar="N",
        help="Optimizer steps in an epoch, where the log does not say.",
    )
    return series(steps(command))


def runs(command: _F) -> _F:
    """Add `--all` to the options of `reading`."""
    every = click.option(
        "--all", "every", is_flag=True, help="Take every run in each file or folder."
    )
    return reading(every(command))
