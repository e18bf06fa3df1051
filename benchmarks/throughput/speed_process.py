"""A variant in a process of its own: whatever becomes of it, the others go on.

The next process is started while one still measures. It imports and makes its data, which takes
longer than many a measurement, and does not touch the GPU before it is told to go.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

_PROGRAM = Path(__file__).with_name("throughput.py")


class Child:
    """One variant, ready to go."""

    def __init__(self, name: str, seconds: float, tiny: bool = False) -> None:
        """Start its process."""
        self.folder = tempfile.TemporaryDirectory()
        self.file = Path(self.folder.name) / "row.json"
        self.errors = Path(self.folder.name) / "stderr"
        command = [sys.executable, str(_PROGRAM), "--one", name, "--seconds", str(seconds)]
        command += ["--tiny"] if tiny else []
        env = {"TOKENIZERS_PARALLELISM": "false", "HF_HUB_OFFLINE": "1", **os.environ}
        with self.errors.open("wb") as errors:
            self.process = subprocess.Popen(
                [*command, "--json", str(self.file)],
                stdin=subprocess.PIPE,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                env=env,
            )

    def measured(self, timeout: float) -> dict[str, Any]:
        """Let it go, wait for its end, and return what it measured or how it failed."""
        began = time.perf_counter()
        with self.folder:
            try:
                self.process.communicate(b"go\n", timeout=timeout)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
                return {"error": f"not done after {timeout:.0f} s"}
            if self.process.returncode == 0 and self.file.exists():
                found: dict[str, Any] = json.loads(self.file.read_text())
                return found | {"whole_seconds": time.perf_counter() - began}
            trace = self.errors.read_text(errors="replace")
        return failed(trace, f"ended with {self.process.returncode}")

    def give_up(self) -> None:
        """End it before it has begun."""
        self.process.kill()
        self.process.wait()
        self.folder.cleanup()


def failed(trace: str, message: str) -> dict[str, Any]:
    """Return the row of a variant that failed."""
    lines = [line for line in trace.splitlines() if line.strip()] or [message]
    return {"error": lines[-1][:300], "trace": lines[-40:]}
