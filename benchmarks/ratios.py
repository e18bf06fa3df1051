"""Prints the ratios of benchmarks, next to their targets.

pytest benchmarks --benchmark-json=found.json
python benchmarks/ratios.py found.json
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

# What is measured, what it is compared with, and the ratio that it should not exceed.
PAIRS = (
    ("test_help", "test_import_click", 1.8),
    ("test_analyze_500_points", "test_import_scipy_optimize", 1.3),
    ("test_first_step", "test_import_transformers_trainer", 1.5),
    ("test_an_evaluation", "test_steps_between_two_evaluations", 0.01),
)


def main(path: str) -> None:
    """Print one line for each pair, from the medians."""
    found = json.loads(Path(path).read_text(encoding="utf-8"))["benchmarks"]
    median = {case["name"]: case["stats"]["median"] for case in found}
    for name, base, target in PAIRS:
        if not {name, base} <= median.keys():
            continue
        ratio = median[name] / median[base]
        millis = 1000 * median[name]
        print(f"{name}: {millis:.0f} ms, {ratio:.3g} x {base} (target {target})")


if __name__ == "__main__":
    main(sys.argv[1])
