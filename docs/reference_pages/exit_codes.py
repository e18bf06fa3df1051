"""What the exit codes of the commands mean."""

from __future__ import annotations

from ftadvise.cli.watch import STOP
from ftadvise_trainer.errors import EXIT_CODES
from reference_pages.markdown import WRITTEN, page, table

_ALL = (
    ("0", "Done."),
    ("2", "It cannot be done: a log that cannot be read, a wrong option, nothing to find."),
    ("130", "Interrupted by Ctrl-C."),
    ("141", "What read the output through a pipe has gone away, as `head` does."),
)
_ANALYZE = (
    ("0", "There is advice."),
    ("1", "`--check` was given, and a log has a warning, an error, or what `--select` names."),
    ("2", "A log could not be read. What was said of all others is there nevertheless."),
)
_PLUGINS = (
    ("0", "All promises are kept."),
    ("1", "A plugin breaks one."),
    ("2", "There is no such plugin."),
)
_WATCH = (
    ("0", "The run has ended, or Ctrl-C."),
    (str(STOP), "`--until-stop` was given, and more training is not expected to pay."),
    ("2", "Nothing to read, or nothing new for as long as `--timeout` says."),
)
_TRAIN = {
    0: "The run has ended, by its plan or by its patience, and `final` is written.",
    2: "Settings, data or packages with which it cannot start.",
    3: "The disk is full, or a checkpoint or the final model does not hold.",
    4: "A loss or gradient is not finite.",
    5: "Another run writes into the folder.",
    130: "Interrupted by SIGINT (Ctrl-C): saved, and resumed by the same command.",
    143: "Ended by SIGTERM: saved, and resumed by the same command.",
}


def pages() -> dict[str, str]:
    """Return the page of the exit codes by its path."""
    heads = ("exit code", "when")
    parts = [
        "Data goes to stdout, messages go to stderr, and the exit code says how it ended.",
        "## Every command",
        table(heads, _ALL),
        "## ftadvise analyze",
        table(heads, _ANALYZE),
        "## ftadvise plugins check",
        table(heads, _PLUGINS),
        "## ftadvise watch",
        table(heads, _WATCH),
        "## ftadvise train",
        table(
            ("exit code", "when", "errors"),
            map(_of_train, sorted({*_TRAIN, *EXIT_CODES.values()})),
        ),
        "With `--nproc` the exit code is that of the run, not of torchrun.",
    ]
    return {"exit-codes.md": page("Exit codes", WRITTEN, *parts)}


def _of_train(status: int) -> tuple[str, str, str]:
    codes = (code for code, its in EXIT_CODES.items() if its == status)
    links = ", ".join(f"[{code}](errors.md#{code.lower()})" for code in codes)
    return str(status), _TRAIN[status], links
