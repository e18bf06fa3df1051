"""Reads the file store of MLflow: `mlruns/EXPERIMENT/RUN/` with one text file for each metric.

A line of a metric is `timestamp value step`, or `timestamp value` in old versions, with the name
of a data set or a run after it in new ones; a metric `train/loss` is the file `loss` in a folder
`train`. Source: https://github.com/mlflow/mlflow, mlflow/store/tracking/file_store.py.
"""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from ftadvise.readers.files.expanding import without_suffix
from ftadvise.readers.folders.walk import lies_in
from ftadvise.text import clean
from ftadvise_plugins.metric_tables import Point, Tracked, as_param, means_something

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from ftadvise.readers.source import Source

MAX_FILES = 2000
MAX_DEPTH = 6
MAX_BYTES = 64 * 1024 * 1024  # of one metric: a million points
MAX_LINE = 1500
MAX_PARAM = 6000  # bytes, the limit of MLflow itself

_VALUE = rb"[-+]?(?:\d{1,400}(?:\.\d{0,400})?(?:[eE][-+]?\d{1,4})?|nan|inf)"
# Milliseconds since 1970 have 12 to 14 digits from 1973 to 5138.
_LINE = re.compile(rb"\d{12,14} " + _VALUE + rb"(?: -?\d{1,18}(?: \S{1,500}){0,3})?")
_FIELD = re.compile(r"^(run_id|run_uuid|run_name|lifecycle_stage): *(.*?) *$", re.MULTILINE)
_SHOWN = 3


def is_metric(head: bytes) -> bool:
    """Return whether a file begins with a line as MLflow writes them."""
    first = head[:MAX_LINE].splitlines()
    return bool(first) and _match(first[0])


def _match(line: bytes) -> bool:
    return len(line) < MAX_LINE and _LINE.fullmatch(line.strip()) is not None


def is_meta(head: bytes) -> bool:
    """Return whether a file is the `meta.yaml` of a run."""
    return b"artifact_uri:" in head and b"lifecycle_stage:" in head and b"\nrun_" in head


def gather(path: Path) -> Sequence[Path]:
    """Return the files of the run that `path` belongs to: its metrics, parameters and name.

    All of its metrics are named, also those beyond what `runs_of` reads: one that is left out
    here would be taken for a run of its own, and gathered again.
    """
    root = _root(path)
    if root is None:
        return (path,)
    metrics = list(_files(root / "metrics", root))
    # The file that was sniffed stays first, and what means something comes before the limit.
    metrics.sort(key=lambda file: (file != path, not means_something(metric_name(file, root))))
    params = list(_files(root / "params", root))
    meta = [file for file in [root / "meta.yaml"] if lies_in(file, root.resolve())]
    return [*metrics, *params[:MAX_FILES], *meta] or [path]


def metric_name(path: Path, root: Path | None = None) -> str:
    """Return the name of a metric from the place of its file.

    Copies whose folders became part of the name, with underscores, are known as well.
    """
    root = root or _root(path)
    if root is not None:
        return without_suffix(path.relative_to(root / "metrics").as_posix())
    return without_suffix(path.name).rpartition("metrics__")[2].replace("__", "/")


def _root(path: Path) -> Path | None:
    """Return the folder of the run, from a file in it."""
    if path.name == "meta.yaml" and (path.parent / "metrics").is_dir():
        return path.parent
    above = [parent for parent in list(path.parents)[:MAX_DEPTH] if parent.name == "metrics"]
    for parent in above:
        if (parent.parent / "meta.yaml").is_file():
            return parent.parent
    return above[0].parent if above else None


def _files(folder: Path, root: Path) -> Iterator[Path]:
    """Yield the regular files below `folder` that no link leads out of `root` to."""
    inside, count = root.resolve(), 0
    for place, folders, names in os.walk(folder):
        folders.sort()
        if len(Path(place).relative_to(folder).parts) >= MAX_DEPTH:
            folders.clear()
        for name in sorted(names):
            file = Path(place) / name
            count += 1
            if count > 10 * MAX_FILES:
                return
            if lies_in(file, inside):
                yield file


def runs_of(source: Source, notes: list[str]) -> list[Tracked]:
    """Return what the files of a source hold, one item for each run.

    A line that is no point is left out, and `notes` says of which metrics; likewise of metrics
    beyond the first `MAX_FILES`.
    """
    runs: dict[Path | None, Tracked] = {}
    broken: list[str] = []
    read = left_out = 0
    for file in source.files:
        # One that was compressed lies elsewhere by now, but is called as it was given.
        place = source.given or file if len(source.files) == 1 else file
        root = _param_root(place) or _root(place)
        run = runs.setdefault(root, Tracked(path=()))
        if file.name == "meta.yaml":
            run.path = _names(file)
        elif root is not None and place.parent == root / "params":
            run.params[file.name] = as_param(_start(file, MAX_PARAM).decode("utf-8", "replace"))
        else:
            name = metric_name(place, root)
            if not means_something(name, source.wanted):
                run.others.append(name)
            elif read < MAX_FILES:
                read += 1
                _add_metric(run, file, name, broken)
            else:
                left_out += 1
    if broken:
        shown = ", ".join(clean(name, 60) for name in broken[:_SHOWN])
        more = f" and {len(broken) - _SHOWN} more" if len(broken) > _SHOWN else ""
        notes.append(f"Not every line of these metrics could be read: {shown}{more}.")
    if left_out:
        notes.append(f"Read the first {MAX_FILES} metrics of {MAX_FILES + left_out}.")
    return list(runs.values())


def _param_root(file: Path) -> Path | None:
    """Return the folder of the run that a parameter belongs to."""
    is_param = file.parent.name == "params" and (file.parent.parent / "metrics").is_dir()
    return file.parent.parent if is_param else None


def _add_metric(run: Tracked, file: Path, name: str, broken: list[str]) -> None:
    lines = [line for line in _start(file, MAX_BYTES).splitlines() if line.strip()]
    fields = [line.split() for line in lines if _match(line)]
    # Where other lines have a step, one without it is a line that was cut off.
    whole = min(max(map(len, fields), default=0), 3)
    points = [_point(line) for line in fields if len(line) >= whole]
    if len(points) < len(lines) or not lines:
        broken.append(name)
    if points:
        run.metrics[name] = points


def _point(fields: list[bytes]) -> Point:
    step = float(fields[2]) if len(fields) > 2 else 0.0
    return float(fields[0]), step, float(fields[1])


def _names(meta: Path) -> tuple[str, ...]:
    """Return what `meta.yaml` calls the run; its few flat lines need no YAML."""
    found: dict[str, str] = {}
    for key, value in _FIELD.findall(_start(meta, 16 * 1024).decode("utf-8", "replace")):
        found[key] = value.strip("'\"")
    name = found.get("run_name") or (found.get("run_id") or found.get("run_uuid") or "")[:8]
    return (name,) if name else ()


def _start(file: Path, size: int) -> bytes:
    try:
        with file.open("rb") as opened:
            return opened.read(size)
    except OSError:
        return b""
