"""The runs below one output folder: the first in the folder itself, later ones in `run-2`, ….

`train --auto` makes one run after another, each advised by those before it. None of them is moved
or overwritten; `final` in the output folder is the best model of all that can be compared.
"""

from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

from ftadvise_trainer.final import FINAL, publish
from ftadvise_trainer.manifest import read_manifest

if TYPE_CHECKING:
    from pathlib import Path

METRICS = "training_metrics.json"
_NAME = re.compile(r"run-([2-9]|[1-9][0-9]{1,5})", re.ASCII)


def next_folder(output: Path) -> Path:
    """Return where the next run goes: the newest folder, unless its run has come to its end."""
    newest = _folders(output)[-1]
    if not finished(newest):
        return newest
    return output / f"run-{_number(newest) + 1}"


def finished_logs(output: Path) -> list[Path]:
    """Return the metrics of the runs that came to their end, oldest first."""
    return [folder / METRICS for folder in _folders(output) if finished(folder)]


def finished(folder: Path) -> bool:
    """Say whether the run in a folder came to its end and has a final model."""
    if read_manifest(folder / FINAL) is None:
        return False
    return bool(_metrics(folder).get("stopped"))


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
    if folder == output:
        return final, f"{final} holds the best model of this run"
    there, new = read_manifest(final), read_manifest(folder / FINAL)
    if new is None:
        return final, f"{final} is left as it was: this run has no final model"
    if there is not None and _data(there.settings) == _data(new.settings):
        old_loss, new_loss = there.eval_loss, new.eval_loss
        if old_loss is not None and new_loss is not None and old_loss <= new_loss:
            return final, (
                f"{final} stays what it was: eval loss {old_loss:.4g}, this run reached "
                f"{new_loss:.4g}"
            )
    publish(folder / FINAL, output)
    return final, f"{final} holds the best model of this run, the best so far"


def _folders(output: Path) -> list[Path]:
    later = [p for p in output.glob("run-*") if _NAME.fullmatch(p.name) and p.is_dir()]
    return [output, *sorted(later, key=_number)]


def _number(folder: Path) -> int:
    found = _NAME.fullmatch(folder.name)
    return int(found[1]) if found else 1


def _metrics(folder: Path) -> dict[str, Any]:
    try:
        found = json.loads((folder / METRICS).read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError):
        return {}
    return found if isinstance(found, dict) else {}


def _data(settings: dict[str, Any]) -> tuple[Any, Any]:
    return settings.get("data"), settings.get("data_fingerprint")
