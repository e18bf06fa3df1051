"""`ftadvise forecast`: the eval loss at an epoch."""

from __future__ import annotations

import click

from ftadvise.cli import options
from ftadvise.cli.output import write


@click.command(name="forecast")
@click.argument("log", type=click.Path())
@click.option(
    "--at",
    type=float,
    callback=options.above_zero,
    required=True,
    metavar="E",
    help="Epoch of the forecast.",
)
@click.option(
    "--epochs",
    type=float,
    callback=options.above_zero,
    metavar="N",
    help="Forecast a run of N epochs with a schedule of its own, instead of this one.",
)
@options.reading
@options.output_format("text", "json")
def command(log: str, at: float, epochs: float | None, take: options.Take, form: str) -> None:
    """Say what the eval loss of a run will be at epoch E.

    Without --epochs it is the run of LOG, carried on along the schedule that it has.
    """
    from ftadvise.errors import UsageError
    from ftadvise.forecasting import forecast
    from ftadvise.numbers import short

    if epochs is not None and at > epochs:
        raise UsageError(
            f"epoch {short(at)} lies past the end of a run of {short(epochs)} epochs",
            hint="Ask for an --at of at most --epochs.",
        )
    run = take.one(log)
    found = forecast(run, at=at, epochs=epochs)
    if form == "json":
        from ftadvise.reports import jsonout

        write(
            jsonout.dumps({
                "schema": "ftadvise.forecast/1",
                "source": {
                    "path": run.source.path,
                    "format": run.source.format,
                    "run": run.source.run,
                },
                "at": at,
                "epochs": epochs,
                "target": found.target,
                "median": jsonout.finite(found.median),
                "low": jsonout.finite(found.low),
                "high": jsonout.finite(found.high),
            })
        )  # fmt: skip
        return
    of = "this run" if epochs is None else f"a run of {short(epochs)} epochs"
    write(
        f"{found.target} loss of {of} at epoch {short(at)}: {short(found.median)} "
        f"(90 %: {short(found.low)} to {short(found.high)})"
    )
