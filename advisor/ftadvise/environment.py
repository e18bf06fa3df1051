"""What is installed here, for the report of a bug: no secret, and no library imported to say it."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
import sys
from importlib import metadata
from pathlib import Path
from typing import Any

import ftadvise
from ftadvise import plugins
from ftadvise.text import clean
from ftadvise.user_data import history_file, history_is_kept

SCHEMA = "ftadvise.env/1"
PACKAGES = {
    "core": ("click", "jinja2", "numpy", "pluggy"),
    "train": (
        "torch",
        "transformers",
        "peft",
        "accelerate",
        "safetensors",
        "tokenizers",
        "pyyaml",
    ),
    "more": ("matplotlib", "pyarrow", "zstandard", "datasets", "trl", "deepspeed", "bitsandbytes"),
}
# The values of other variables are not told: a plugin may keep a key in one.
_TOLD = ("BLOCK_PLUGINS", "DEBUG", "HISTORY", "LAUNCH", "NO_PLUGINS")
_DEVICES = ("CUDA_VISIBLE_DEVICES", "HIP_VISIBLE_DEVICES", "ROCR_VISIBLE_DEVICES")
_PATIENCE = 5.0  # seconds for nvidia-smi, which hangs on a broken driver


def environment(full: bool = False) -> dict[str, Any]:
    """Return what is installed, in the schema `ftadvise.env/1`; whatever fails is told as text.

    Args:
        full: Import torch as well, and say what it sees.
    """
    told = {
        "schema": SCHEMA,
        "ftadvise": {"version": ftadvise.__version__, "path": _home(Path(ftadvise.__file__).parent)},
        "python": {
            "version": platform.python_version(),
            "implementation": platform.python_implementation(),
            "path": _home(Path(sys.executable or "unknown")),
        },
        "system": {
            "platform": platform.platform(),
            "machine": platform.machine(),
            "cpus": _cpus(),
        },
        "packages": {
            name: _version(name) for names in PACKAGES.values() for name in names
        },
        "devices": {"driver": _nvidia(), "visible": _values_of(_DEVICES)},
        "plugins": _plugins(),
        "variables": _variables(),
        "history": _history(),
    }  # fmt: skip
    return told | ({"torch": _torch()} if full else {})


def _cpus() -> int | None:
    """Return the cores that this process may use."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count()


def _version(name: str) -> str | None:
    """Return the version of a package by its metadata; None where it is not installed."""
    try:
        return clean(metadata.version(name), 60)
    except metadata.PackageNotFoundError:
        return None
    except Exception as error:  # noqa: BLE001 - metadata that somebody broke
        return _failure(error)


def _nvidia() -> list[str] | str:
    """Return GPU, driver and memory of each device that nvidia-smi knows, or why there are none."""
    program = shutil.which("nvidia-smi")
    if program is None:
        return "no nvidia-smi"
    query = ["--query-gpu=name,driver_version,memory.total", "--format=csv,noheader"]
    try:
        done = subprocess.run(
            [program, *query], capture_output=True, timeout=_PATIENCE, check=False, text=True
        )
    except (OSError, subprocess.SubprocessError, ValueError) as error:
        return f"nvidia-smi: {_failure(error)}"
    lines = [clean(line, 120) for line in done.stdout.splitlines() if line.strip()]
    return lines if done.returncode == 0 else f"nvidia-smi: {'; '.join(lines) or 'failed'}"


def _plugins() -> list[dict[str, str]] | str:
    """Return the plugins of others and what is wrong with them."""
    try:
        found = plugins.third_party().plugins.values()
        return [
            {
                "name": clean(one.name, 60),
                "version": clean(one.version, 60),
                "error": clean(one.error, 300),
            }
            for one in found
        ]
    except Exception as error:  # noqa: BLE001 - whatever a plugin raises
        return _failure(error)


def _variables() -> dict[str, str]:
    told = {f"FTADVISE_{name}" for name in _TOLD}
    ours = sorted(name for name in os.environ if name.startswith("FTADVISE_"))
    return {
        clean(name, 80): _home(os.environ[name]) if name in told else "(set, value not told)"
        for name in ours
    }


def _values_of(names: tuple[str, ...]) -> dict[str, str]:
    return {name: clean(os.environ[name], 200) for name in names if name in os.environ}


def _history() -> dict[str, Any]:
    try:
        path = history_file() if history_is_kept() else None
        there = path is not None and path.is_file()
        size = path.stat().st_size if path is not None and there else None
        return {"path": path and _home(path), "kept": path is not None, "bytes": size}
    except (OSError, RuntimeError) as error:
        return {"path": None, "kept": False, "bytes": None, "error": _failure(error)}


def _torch() -> dict[str, Any]:
    """Return what torch says of its devices, by importing it."""
    try:
        import importlib

        torch: Any = importlib.import_module("torch")
        cuda = bool(torch.cuda.is_available())
        names = [torch.cuda.get_device_name(i) for i in range(torch.cuda.device_count())]
        return {
            "version": clean(torch.__version__, 60),
            "cuda": torch.version.cuda,
            "hip": getattr(torch.version, "hip", None),
            "available": cuda,
            "bf16": bool(cuda and torch.cuda.is_bf16_supported()),
            "devices": [clean(name, 120) for name in names] if cuda else [],
        }
    except Exception as error:  # noqa: BLE001 - a library that cannot be loaded is the bug reported
        return {"error": _failure(error)}


def _failure(error: Exception) -> str:
    return clean(f"{type(error).__name__}: {error}", 300)


def _home(path: object) -> str:
    """Return a path with the home folder, which tends to name its owner, as ~."""
    text, home = str(path), os.path.expanduser("~")  # noqa: PTH111 - never fails
    if home not in ("~", "/", "") and (text == home or text.startswith(home + os.sep)):
        text = "~" + text[len(home) :]
    return clean(text, 300)
