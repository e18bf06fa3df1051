"""Tokens per second of a full fine-tune: ftadvise beside transformers.Trainer and TRL.

usage: python benchmarks/throughput/throughput.py [--models 0.5B,1.5B,7B] [--only NAME,...]
                                                  [--seconds 8] [--json FILE] [--tiny] [--list]

One call on one GPU. Models have the shapes of Qwen2.5 and random weights; examples are as long as
those of chats (16 to 2,048 tokens, median 200), and every token is trained. Each variant runs in a
process of its own, so that one that fails or runs out of memory sinks no other. Counted are real
tokens, never padding; the first steps (warm-up, compilation) are left out. `tokens/s` is all tokens
by all the time, `median` that of the median step. MFU by 6N, and with attention, as
`ftadvise_trainer.speed.flops` says; memory is the peak of what tensors took.

Beside the table stand the losses of variants that saw the same batches (`same-...`): how far apart.

`--tiny` runs everything with a tiny model in this process, on a CPU too. On a machine without a
network, TRL 1.16 and Liger need these wheels beside what transformers, pyarrow, pandas, fsspec and
xxhash bring (2.7 MB together): trl==1.16.0 datasets==5.2.0 dill==0.4.1 multiprocess==0.70.19
liger_kernel==0.8.5. Variants whose packages are missing are left out, and that is said.
"""

from __future__ import annotations

import argparse
import json
import platform
import sys
import time
import traceback
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import TYPE_CHECKING, Any

from speed_process import Child, failed
from speed_table import differences, table
from speed_variants import VARIANTS, chosen

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from speed_variants import Variant

PACKAGES = ("torch", "transformers", "accelerate", "trl", "liger-kernel", "ftadvise")


def main() -> None:
    """Run the variants one after the other, and print what they did as a table."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--models", default="0.5B", help="0.5B, 1.5B and 7B, with commas")
    parser.add_argument("--only", default="", help="names of variants, with commas")
    parser.add_argument("--seconds", type=float, default=8.0, help="measured for each variant")
    parser.add_argument("--timeout", type=float, default=180.0, help="seconds for each variant")
    parser.add_argument("--json", type=Path, help="file for the rows, written after each variant")
    parser.add_argument("--tiny", action="store_true", help="a tiny model, quick, also on a CPU")
    parser.add_argument(
        "--apart", action="store_true", help="--tiny in processes of their own too"
    )
    parser.add_argument("--list", action="store_true", help="name the variants and stop")
    parser.add_argument("--one", help=argparse.SUPPRESS)
    given = parser.parse_args()
    if given.list:
        print("\n".join(f"{v.model:5} {v.name:15}  {v.what}" for v in VARIANTS))
        return
    if given.one:
        _one(given.one, given)
        return
    names = [name for name in given.only.split(",") if name]
    variants = chosen(given.models.split(","), names, tiny=given.tiny)
    header = _header(given)
    rows: list[dict[str, Any]] = []
    here = given.tiny and not given.apart
    results = _here(variants) if here else _in_processes(variants, given)
    for variant, found in zip(variants, results, strict=True):
        model = "tiny" if given.tiny else variant.model
        rows.append({"name": variant.name, "model": model, "what": variant.what} | found)
        if given.json:
            given.json.write_text(json.dumps({**header, "rows": rows}, indent=1) + "\n")
        rate = f"{found['tokens_per_second']:,.0f} tokens/s" if "error" not in found else ""
        print(f"{variant.name}: {found.get('error', rate)}", file=sys.stderr, flush=True)
    print("\n".join([*_told(header), "", *table(rows), "", *differences(rows)]))


def _here(variants: Sequence[Variant]) -> Iterator[dict[str, Any]]:
    """Yield what tiny variants measure; in this process, which saves most of the time."""
    from speed_variants import run

    for variant in variants:
        try:
            yield run(variant, seconds=0.5, tiny=True)
        except Exception as error:  # noqa: BLE001 - of whatever kind: the others are to run
            yield failed(traceback.format_exc(), str(error))


def _in_processes(variants: Sequence[Variant], given: Any) -> Iterator[dict[str, Any]]:
    """Yield what each measures, in a process that was started while the one before was at it."""
    following = [Child(variants[0].name, given.seconds, given.tiny)] if variants else []
    try:
        for place in range(len(variants)):
            child = following.pop()
            if place + 1 < len(variants):
                name = variants[place + 1].name
                following.append(Child(name, given.seconds, given.tiny))
            yield child.measured(given.timeout)
    finally:
        for child in following:
            child.give_up()


def _one(name: str, given: Any) -> None:
    from speed_variants import run

    variant = next(v for v in VARIANTS if v.name == name)

    def wait() -> None:
        if not sys.stdin.readline():
            raise SystemExit("the process that started this one is gone")

    found = run(variant, given.seconds, tiny=given.tiny, ready=wait)
    given.json.write_text(json.dumps(found))


def _header(given: Any) -> dict[str, Any]:
    versions: dict[str, str] = {"python": platform.python_version()}
    for package in PACKAGES:
        try:
            versions[package] = version(package)
        except PackageNotFoundError:
            versions[package] = "absent"
    return {
        "date": time.strftime("%Y-%m-%d", time.gmtime()),
        "device": _device(),
        "command": " ".join(["python", "benchmarks/throughput/throughput.py", *sys.argv[1:]]),
        "seconds": given.seconds,
        "versions": versions,
    }


def _device() -> str:
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"


def _told(header: dict[str, Any]) -> list[str]:
    versions = ", ".join(f"{name} {number}" for name, number in header["versions"].items())
    return [f"{header['date']}, {header['device']}", versions, header["command"]]


if __name__ == "__main__":
    main()
