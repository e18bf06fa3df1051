"""Counts the points of each series in event files and wandb files with the tools that wrote them.

    python benchmarks/corpus_counts.py FOLDER COUNTS.json       # needs tensorboard, wandb < 0.20
    python benchmarks/corpus.py FOLDER --counts COUNTS.json

It shares no line with our own readers, so that the two can be held against each other.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from importlib import import_module
from pathlib import Path
from typing import Any


def event_file(path: Path) -> dict[str, int]:
    """Return the points by tag as TensorBoard itself loads them."""
    loading: Any = import_module("tensorboard.backend.event_processing.event_accumulator")
    everything = {loading.SCALARS: 0, loading.TENSORS: 0}
    loaded: Any = loading.EventAccumulator(str(path), size_guidance=everything)
    loaded.Reload()
    tags: dict[str, list[str]] = loaded.Tags()
    found = {tag: len(loaded.Scalars(tag)) for tag in tags[loading.SCALARS]}
    for tag in tags[loading.TENSORS]:  # TensorFlow 2 writes scalars as tensors of no dimension
        if loaded.SummaryMetadata(tag).plugin_data.plugin_name == "scalars":
            found[tag] = len(loaded.Tensors(tag))
    return found


def wandb_file(path: Path) -> dict[str, int]:
    """Return the points by key of the history in a `.wandb` file, as wandb itself scans it."""
    messages: Any = import_module("wandb.proto.wandb_internal_pb2")
    store: Any = import_module("wandb.sdk.internal.datastore").DataStore()
    store.open_for_scan(str(path))
    found: Counter[str] = Counter()
    try:
        while (data := store.scan_data()) is not None:
            record: Any = messages.Record()
            record.ParseFromString(data)
            if record.WhichOneof("record_type") == "history":
                found.update(_keys(record.history))
    except Exception as error:  # noqa: BLE001 - a file that was cut off ends in an assertion
        print(f"{path.name}: cut off ({type(error).__name__})", file=sys.stderr)
    return dict(found)


def _keys(history: Any) -> list[str]:
    """Return the keys of one row that hold a number, containers joined by dots."""
    keys: list[str] = []
    for item in history.item:
        value = json.loads(item.value_json)
        if isinstance(value, int | float) or value in ("NaN", "Infinity", "-Infinity"):
            keys.append(".".join(item.nested_key) or item.key)
    return keys


def main() -> int:
    """Write the counts of all event files and wandb files in the corpus."""
    folder, out = Path(sys.argv[1]), Path(sys.argv[2])
    counts: dict[str, dict[str, int]] = {}
    for file in sorted((folder / "tensorboard").iterdir()):
        counts[f"tensorboard/{file.name}"] = event_file(file)
    for file in sorted((folder / "wandb").glob("*.wandb")):
        counts[f"wandb/{file.name}"] = wandb_file(file)
    out.write_text(json.dumps(counts, indent=1), encoding="utf-8")
    print(f"{len(counts)} files")
    return 0


if __name__ == "__main__":
    raise SystemExit(main())
