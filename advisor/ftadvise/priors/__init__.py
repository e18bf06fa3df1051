"""What other people's fine-tunes taught: small tables, each made by a script in `benchmarks/`.

Every file says in its `provenance` which script made it, from which data, and how well it did on
data that it was not made from. Nothing in them is typed in by hand.
"""

from __future__ import annotations

import functools
import json
from pathlib import Path
from typing import Any

_FOLDER = Path(__file__).parent


@functools.cache
def load(name: str) -> dict[str, Any]:
    """Return the table `name`, such as `"horizon"`; read once a process."""
    table: dict[str, Any] = json.loads((_FOLDER / f"{name}.json").read_text(encoding="utf-8"))
    return table
