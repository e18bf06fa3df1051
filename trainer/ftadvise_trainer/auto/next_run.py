"""The runs below one output folder: the first in the folder itself, later ones in `run-2`, ….

`train --auto` makes one run after another, each advised by those before it. None of them is moved
or overwritten; `final` in the output folder is the best model of all that can be compared.
"""

from __future__ import annotations

import json
import os
import re
from typing import TYPE_CHECKING, Any

from ftadvise.numbers import short
from ftadvise_trainer.saving.durable import empty_trash
from ftadvise_trainer.saving.final import FINAL, publish
from ftadvise_trainer.saving.manifest import Manifest, read_manifest

if TYPE_CHECKING:
    from pathlib import Path

METRICS = "training_metrics.json"
FILE = "auto.json"
"""What was chosen for a run, and whether all was done that is left to do after it."""
SIGNALLED = "preemption"
_NAME = re.compile(r"run-([2-9]|[1-9][0-9]{1,5})", re.ASCII)


def next_folder(output: Path) -> Path:
    """Return where the next run goes: the newest folder, unless its run has come to its end."""
    newest = _folders(output)[-1]
    if not finished(newest):
        return newest
    number = _number(newest) + 1
    while os.path.lexists(output / f"run-{number}"):  # a file, or a link to nowhere
        number += 1
    return output / f"run-{number}"


def finished_logs(output: Path) -> list[Path]:
    """Return the metrics of the runs that came to their end, oldest first."""
    return [folder / METRICS for folder in _folders(output) if finished(folder)]


def finished(folder: Path) -> bool:
    """Say whether the run in a folder came to its end and nothing is left to do after it.

    One that was killed before its model was compared with those of the other runs, or before it
    was in the history, is not: going on with it trains no step and does the rest.
    """
    if read_manifest(folder / FINAL) is None or _json(folder / FILE).get("closed") is False:
        return False
    stopped = _json(folder / METRICS).get("stopped")
    # After a signal a final model can only be that of an earlier, shorter run.
    return bool(stopped) and not (isinstance(stopped, dict) and stopped.get("policy") == SIGNALLED)


def publish_best(folder: Path, output: Path) -> tuple[Path, str]:
    """Make the final model of the run in `folder` that of `output`, unless that one is better.

    Models are compared when they were evaluated on the same data; otherwise the newer one is taken.

    Args:
        folder: A run that has come to its end.
        output: The folder of all runs.

    Returns:
        The final model, and a sentence about which one it is.
    """
    final = output / FINAL
    empty_trash(output)  # of a process that was killed here
    there, new = read_manifest(final), read_manifest(folder / FINAL)
    if new is None:
        return final, f"{final} is left as it was: this run has no final model"
    best = "last" if new.eval_loss is None else "best"
    if folder == output:
        return final, f"{final} holds the {best} model of this run"
    held = f"{final} holds the {best} model of this run"
    if there is not None and there.files == new.files:
        return final, held  # a process was killed before it could say so
    why = _why_newer(there, new)
    if why is None:
        reached = f"this run reached {short(new.eval_loss or 0.0)}"
        old = short(there.eval_loss or 0.0) if there else "unknown"
        return final, f"{final} stays what it was: eval loss {old}, {reached}"
    publish(folder / FINAL, output)
    return final, f"{held}, {why}"


def _why_newer(there: Manifest | None, new: Manifest) -> str | None:
    """Return why a new model takes the place of the one that is there; None when it does not."""
    if there is None:
        return "the only one so far"
    if _data(there.settings) != _data(new.settings):
        return "the newest: the one before it was evaluated on other data"
    if there.eval_loss is None or new.eval_loss is None:
        return "the newest: without an eval loss none is known to be the best"
    return "the best so far" if new.eval_loss < there.eval_loss else None


def _folders(output: Path) -> list[Path]:
    later = [p for p in output.glob("run-*") if _NAME.fullmatch(p.name) and p.is_dir()]
    return [output, *sorted(later, key=_number)]


def _number(folder: Path) -> int:
    found = _NAME.fullmatch(folder.name)
    return int(found[1]) if found else 1


def _json(file: Path) -> dict[str, Any]:
    try:
        found = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _data(settings: dict[str, Any]) -> tuple[Any, ...]:
    return tuple(settings.get(key) for key in ("data", "data_fingerprint", "eval_fingerprint"))
