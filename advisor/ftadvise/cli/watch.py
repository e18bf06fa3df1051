"""`ftadvise watch`: follows a run in progress, and never disturbs it."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, NoReturn

import click

from ftadvise.cli import options
from ftadvise.cli.output import NARROWEST
from ftadvise.cli.watch_output import Lines, Objects, Output, Picture
from ftadvise.text import clean

if TYPE_CHECKING:
    from ftadvise.watching.following import Look
    from ftadvise.watching.status import Status

STOP = 1  # the exit code of --until-stop
SHARE = 0.05  # of one core, at most, even where a log is huge and grows all the time
SOON = 0.2  # seconds until the next look at what was caught half written
ONCE = 1.0  # seconds for which --once waits for what is half written
_STEP = 0.25  # seconds between two looks at the size of the terminal


@click.command(name="watch")
@click.argument("log", metavar="LOG|FOLDER", type=click.Path())
@click.option(
    "--interval",
    type=float,
    callback=options.above_zero,
    default=5.0,
    show_default=True,
    metavar="SECONDS",
    help="Time between two looks at the log.",
)
@click.option(
    "--timeout",
    type=float,
    callback=options.above_zero,
    metavar="SECONDS",
    help="Give up (exit 2) when the log has not come, or has not grown, for so long.  "
    "[default: never]",
)
@click.option("--once", is_flag=True, help="Show the run as it is now, and exit.")
@click.option("--until-stop", is_flag=True, help="Exit with 1 when the decision is to stop.")
@options.output_format("text", "jsonl")
@click.option(
    "--epochs",
    type=float,
    callback=options.above_zero,
    metavar="N",
    help="Epochs that the run is planned for, where its log does not say.",
)
@click.option(
    "--price-per-hour",
    "price",
    type=float,
    callback=options.above_zero,
    metavar="PRICE",
    help="Price of an hour of training; shows what the run costs, and its tokens.",
)
@options.series
@click.option("--width", type=click.IntRange(min=NARROWEST), help="Columns of the picture.")
@click.option("--ascii", "ascii_only", is_flag=True, help="Use ASCII characters alone.")
@click.pass_context
def command(
    ctx: click.Context,
    log: str,
    interval: float,
    timeout: float | None,
    once: bool,
    until_stop: bool,
    form: str,
    epochs: float | None,
    price: float | None,
    take: options.Take,
    width: int | None,
    ascii_only: bool,
) -> None:
    """Follow a run in progress: its losses, how it may end, and whether to stop it now.

    On a terminal it repaints one picture; elsewhere it writes a line for each new evaluation. The
    log is only read, and a file that is not there yet is waited for. Exits with 0 when the run has
    ended (or on Ctrl-C), with 1 under --until-stop when more training is not expected to pay, and
    with 2 when there is nothing to read.
    """
    if log == "-":
        raise click.UsageError("the standard input cannot be watched: give the log file", ctx)
    # Before numpy is loaded: the cores belong to the training.
    for library in ("OMP", "OPENBLAS", "MKL"):
        os.environ.setdefault(f"{library}_NUM_THREADS", "1")
    show: Output
    if form == "jsonl":
        show = Objects()
    elif once or (sys.stdout.isatty() and os.environ.get("TERM") != "dumb"):
        show = Picture(log, width, ascii_only, price, live=not once)
    else:
        show = Lines()
    try:
        code = _Watch(log, take, epochs, interval, timeout, until_stop).run(show, once)
    except KeyboardInterrupt:
        code = 0
    ctx.exit(code)


class _Watch:
    """One watch, from the first look to the exit code."""

    def __init__(
        self,
        log: str,
        take: options.Take,
        epochs: float | None,
        interval: float,
        timeout: float | None,
        until_stop: bool,
    ) -> None:
        from ftadvise.watching.following import Follower
        from ftadvise.watching.status import Watched

        self.follower = Follower(log, take.run, wanted=take.wanted)
        self.watched = Watched()
        self.epochs, self.interval, self.timeout = epochs, interval, timeout
        self.until_stop = until_stop
        self.looked: float | None = None
        self.grew: tuple[float, float] | None = None  # between these two looks

    def run(self, show: Output, once: bool) -> int:
        """Watch until there is an exit code."""
        with show:
            return self._once(show) if once else self._follow(show)

    def _follow(self, show: Output) -> int:
        news, warm = time.monotonic(), False
        while True:
            began = time.monotonic()
            seen, status = self._look(began)
            news = began if seen.fresh else news
            show.now(seen, status, self.follower.failure, began - news)
            code = self._code(status)
            if code is not None:
                show.over(status)
                return code
            if self.timeout is not None and began - news >= self.timeout:
                self._give_up(status)
            # The first run that is read also loads the modules that it takes.
            rest = (time.monotonic() - began) * (1.0 / SHARE - 1.0) if warm else 0.0
            wait = min(self.interval, SOON) if seen.again else self.interval
            pause(max(wait, rest), show)
            warm = status is not None

    def _once(self, show: Output) -> int:
        until = time.monotonic() + ONCE
        while True:
            seen, status = self._look(time.monotonic())
            if status is not None and not seen.again:
                show.now(seen, status, None, 0.0)
                return self._code(status) or 0
            if time.monotonic() >= until:
                self._give_up(None)
            time.sleep(SOON)

    def _look(self, now: float) -> tuple[Look, Status | None]:
        from ftadvise.watching.following import with_plan

        seen = self.follower.look(now)
        if seen.fresh and seen.run is not None and seen.file is not None:
            known = self.looked is not None and self.watched.status(0.0) is not None
            self.grew = (self.looked or 0.0, now) if known else None
            self.watched.update(with_plan(seen.run, self.epochs), seen.file, seen.written or 0.0)
        self.looked = now
        return seen, self.watched.status(self._quiet(now, seen.written or 0.0))

    def _quiet(self, now: float, written: float) -> float:
        """Return the seconds since the log was written.

        The time of a file may be that of another machine's clock, so what was seen bounds it.
        """
        quiet = max(0.0, time.time() - written)
        if self.grew is None:
            return quiet
        earliest, latest = self.grew
        return min(max(quiet, now - latest), now - earliest)

    def _code(self, status: Status | None) -> int | None:
        """Return the exit code, or None while there is more to come."""
        if status is None:
            return None
        if status.ended is not None:
            return 0
        decision = status.progress.decision
        return STOP if self.until_stop and decision is not None and decision.stop else None

    def _give_up(self, status: Status | None) -> NoReturn:
        """Say what has been missing for too long.

        Raises:
            LogError: FT410 when nothing was written, else why the log cannot be read.
        """
        from ftadvise.errors import LogError

        failure, path = self.follower.failure, clean(self.follower.path, 300)
        hint = "" if self.timeout is None else f"Waited {self.timeout:g} s for it (--timeout)."
        if failure is not None:
            raise LogError(failure.message, code=failure.code, hint=failure.hint or hint)
        what = "it ends in the middle of a line" if status is None else "nothing more was written"
        raise LogError(f"{path}: {what}", code="FT410", hint=hint)


def pause(seconds: float, show: Output) -> None:
    """Wait, and follow changes of the size of the terminal meanwhile."""
    until = time.monotonic() + seconds
    while (left := until - time.monotonic()) > 0:
        time.sleep(min(left, _STEP))
        show.resized()
