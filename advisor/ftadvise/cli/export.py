"""`ftadvise export`: the advice as settings of another trainer."""

from __future__ import annotations

import click

from ftadvise.cli import options
from ftadvise.cli.output import write

# As in ftadvise.config.exports, which is too heavy to import for --help; a test compares them.
TOOLS = ("ftadvise", "hf", "trl", "axolotl", "llama-factory", "lightning", "keras")


@click.command(name="export")
@click.argument("logs", metavar="LOG...", nargs=-1, required=True, type=click.Path())
@click.option(
    "--to",
    "tool",
    type=click.Choice(TOOLS),
    required=True,
    help="The trainer that the settings are for.",
)
@click.option("-o", "--output", type=click.Path(), help="Write to a file instead of stdout.")
@options.reading
@click.option(
    "--price",
    type=click.FloatRange(min=0.0),
    callback=options.finite,
    metavar="PERCENT",
    help="What one more epoch has to gain, in percent of the loss, as in analyze.",
)
def command(
    logs: tuple[str, ...],
    tool: str,
    output: str | None,
    take: options.Take,
    price: float | None,
) -> None:
    """Print the advice from LOG as settings to paste into another trainer.

    Python for hf (transformers), trl, lightning and keras; YAML for ftadvise, axolotl and
    llama-factory. Names and meaning are the trainer's own, and comments say why. To change a YAML
    that you have, see `ftadvise analyze --write-config`.
    """
    from ftadvise.cli.one_answer import one_answer
    from ftadvise.config.exports import export

    runs = [take.one(path) for path in logs]
    advice = one_answer(runs, None if price is None else price / 100.0)
    write(export(advice, tool), output)
