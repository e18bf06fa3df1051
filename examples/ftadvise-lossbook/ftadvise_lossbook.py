"""A reader for lossbooks: text files with a line `epoch train_loss eval_loss` for every epoch.

    # lossbook 1
    1  2.31  2.40
    2  1.72  2.05

This is what `ftadvise plugins new lossbook --kind reader` writes, but for `read`, which builds its
`Run` itself: for formats that leave nothing to be found out.
"""

from __future__ import annotations

import ftadvise
from ftadvise.errors import LogError
from ftadvise.readers.source import Reader, Source
from ftadvise.run import Run, Series, as_floats

FTADVISE_API = 1  # the version of ftadvise's hooks that this is written for

MARK = "# lossbook 1"

# A small log as it is in the wild: `ftadvise plugins check` and the tests read it.
SAMPLE = f"""{MARK}
1  2.31  2.40
2  1.72  2.05
3  1.31  1.96
4  1.02  1.95
5  0.80  2.01
"""


def sniff(source: Source) -> float:
    """Be sure when the first line says so, and not at all otherwise."""
    return 1.0 if source.head.startswith(MARK.encode()) else 0.0


def read(source: Source) -> list[Run]:
    """Return the one run of a lossbook."""
    lines = source.text.splitlines()[1:]
    try:
        rows = [[float(word) for word in line.split()] for line in lines if line.strip()]
        epoch, train, held_out = (as_floats(column) for column in zip(*rows, strict=True))
    except ValueError:
        raise LogError(
            f"{source.label}: a line of this lossbook is not `epoch train_loss eval_loss`",
            code="FT404",
            hint="Every line after the first needs three numbers.",
        ) from None
    steps = as_floats([float("nan")] * epoch.size)
    return [
        Run(
            train=Series("train_loss", steps, epoch, train),
            eval=Series("eval_loss", steps, epoch, held_out),
        )
    ]


READER = Reader(
    name="lossbook",
    description="lossbooks: epoch, train loss and eval loss a line",
    sniff=sniff,
    read=read,
)


@ftadvise.hookimpl
def register_readers() -> list[Reader]:
    """Give ftadvise the reader."""
    return [READER]
