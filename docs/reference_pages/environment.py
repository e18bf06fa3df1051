"""The environment variables that ftadvise looks at; one that is not described here is an error."""

from __future__ import annotations

import re
from collections.abc import Iterable

from reference_pages.markdown import WRITTEN, code, page, table
from reference_pages.source import ROOTS

OURS = {
    "FTADVISE_HISTORY": "Path of the history, an SQLite file; `off` keeps none. By default "
    "`history.sqlite3` in the user's data folder; `ftadvise history path` prints it.",
    "FTADVISE_NO_PLUGINS": "`1` loads no plugin but what is built in. The trainer is a plugin, too: "
    "then there is no `ftadvise train`.",
    "FTADVISE_BLOCK_PLUGINS": "Names of plugins to leave out, with commas between them; "
    "`ftadvise plugins` lists them.",
    "FTADVISE_DEBUG": "`1` shows where an error was raised, as `--debug` does.",
    "_FTADVISE_COMPLETE": "Set by the script that `ftadvise completion` prints; not for you.",
    "FTADVISE_LAUNCH": "Set by `ftadvise train --nproc` in the processes that it starts; not for you.",
}
_OTHERS = {
    "NO_COLOR": "Anything: no colours.",
    "FORCE_COLOR": "`1`: colours, even where the output is no terminal.",
    "TERM": "`dumb`: no colours, and nothing is painted over.",
    "COLUMNS": "Columns of the terminal, where the terminal does not say.",
    "XDG_DATA_HOME": "Where the user's data folder is, on Linux.",
    "LOCALAPPDATA": "The same on Windows.",
    "OMP_NUM_THREADS": "Threads of numpy. `ftadvise watch` and the processes of `analyze` set 1 where "
    "nothing is said; `train --nproc` shares the cores out.",
    "RANK": "With `WORLD_SIZE`, `LOCAL_RANK` and the like: set by torchrun, which starts `ftadvise "
    "train` in each process.",
    "GITHUB_WORKSPACE": "Root of the checkout, from which the formats for pipelines (`github`, `sarif`, ...) name paths; "
    "the working folder where it is not set.",
    "SLURM_JOB_ID": "Name of the rendezvous of `ftadvise train --nnodes`.",
}
_NAME = re.compile(r"_?FTADVISE_[A-Z][A-Z_]*[A-Z]")
_NO_VARIABLES = {"FTADVISE_API"}  # a constant in the module of a plugin


def pages() -> dict[str, str]:
    """Return the page of the environment variables by its path.

    Raises:
        LookupError: The code reads a variable that nothing is said of, or the other way round.
    """
    differ = in_code() ^ OURS.keys()
    if differ:
        raise LookupError(f"docs/reference_pages/environment.py and the code differ in {differ}")
    heads = ("variable", "what it does")
    parts = [
        "## Of ftadvise",
        table(heads, _rows(OURS.items())),
        "## Of others",
        table(heads, _rows(_OTHERS.items())),
        (
            "Whatever transformers, torch and accelerate read (`HF_HOME`, `HF_HUB_OFFLINE`, "
            "`CUDA_VISIBLE_DEVICES` and so on) holds for `ftadvise train` as everywhere."
        ),
    ]
    return {"environment.md": page("Environment variables", WRITTEN, *parts)}


def in_code() -> set[str]:
    """Return the names of all our variables in the code."""
    files = (path for root in ROOTS for path in root.rglob("*.py"))
    return {
        name for path in files for name in _NAME.findall(path.read_text(encoding="utf-8"))
    } - _NO_VARIABLES


def _rows(said: Iterable[tuple[str, str]]) -> list[tuple[str, str]]:
    return [(code(name), text) for name, text in said]
