"""Attention over documents on a GPU: our own kernels beside torch's, by how long documents are.

usage: python benchmarks/throughput/attention_gpu.py [--tokens 32768] [--blocks]

A row is laid out of documents of one length, or of chats' lengths (`speed_data.py`).
Times are medians of 20 calls, forward and backward together, in bf16; errors are relative to
torch's kernel. `--blocks` tries sizes of blocks for each kernel of ours.
"""

from __future__ import annotations

import argparse
import itertools
import statistics
from typing import TYPE_CHECKING, Any

import torch
from speed_data import examples
from torch.nn.attention.varlen import varlen_attn

from ftadvise_trainer.speed import document_attention
from ftadvise_trainer.speed.document_attention import Blocks, attend_documents

if TYPE_CHECKING:
    from collections.abc import Callable

HEADS = ((14, 2, 64), (12, 2, 128), (28, 4, 128), (16, 16, 64))
LENGTHS = (64, 128, 256, 512, 1024, 2048, 4096, 8192, 32768)


def main() -> None:
    """Measure, and print a line for each kind of layer and length."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--tokens", type=int, default=32768)
    parser.add_argument("--blocks", action="store_true", help="try sizes of blocks")
    given = parser.parse_args()
    if not torch.cuda.is_available():
        raise SystemExit("there is no GPU")
    print(torch.__version__, torch.cuda.get_device_name())
    for heads, keys, width in HEADS:
        print(f"{heads} heads, {keys} key heads of width {width}, {given.tokens:,} tokens")
        if given.blocks:
            try_blocks(heads, keys, width, given.tokens)
            continue
        for name, lengths in kinds(given.tokens):
            print(f"  {name:>16}: {compared(heads, keys, width, lengths)}", flush=True)


def kinds(tokens: int) -> list[tuple[str, list[int]]]:
    """Return rows of documents, with their names."""
    chats = [len(example["input_ids"]) for example in examples(4000, 1000, 2048)]
    mixed = list(itertools.takewhile(lambda n: n > 0, filled(chats, tokens)))
    same = [(f"{n:,} each", [n] * (tokens // n)) for n in LENGTHS if n <= tokens]
    return [("chats", mixed), *same]


def filled(lengths: list[int], tokens: int) -> list[int]:
    """Return lengths from the first on, the last one cut so that all make `tokens`."""
    found: list[int] = []
    for length in lengths:
        left = tokens - sum(found)
        found.append(min(length, left))
        if length >= left:
            break
    return found


def layer(heads: int, keys: int, width: int, lengths: list[int]) -> tuple[Any, ...]:
    """Return queries, keys and values as a decoder has them, a gradient, and where documents end."""
    torch.manual_seed(0)
    tokens = sum(lengths)
    tensors = [
        torch.randn(n, tokens, width, device="cuda", dtype=torch.bfloat16)
        .transpose(0, 1)
        .requires_grad_()
        for n in (heads, keys, keys)
    ]
    above = torch.randn(tokens, heads, width, device="cuda", dtype=torch.bfloat16)
    ends = torch.tensor([0, *itertools.accumulate(lengths)], dtype=torch.int32, device="cuda")
    return tensors, above, ends


def compared(heads: int, keys: int, width: int, lengths: list[int]) -> str:
    """Return the times of both, and how far their results lie apart."""
    tensors, above, ends = layer(heads, keys, width, lengths)
    longest = max(lengths)
    call: Any = varlen_attn

    def theirs() -> torch.Tensor:
        found: torch.Tensor = call(*tensors, ends, ends, longest, longest, window_size=(-1, 0))
        return found

    def ours() -> torch.Tensor:
        query, key, value = tensors
        return attend_documents(query, key, value, ends)

    results = [both(way, tensors, above)() for way in (theirs, ours)]
    apart = max(
        float((a - b).float().norm() / a.float().norm()) for a, b in zip(*results, strict=True)
    )
    first, second = (median(both(way, tensors, above)) for way in (theirs, ours))
    return (
        f"torch {first:6.3f} ms, ours {second:6.3f} ms ({second / first:.2f}), apart {apart:.1e}"
    )


def both(
    way: Callable[[], torch.Tensor], tensors: Any, above: torch.Tensor
) -> Callable[[], tuple[torch.Tensor, ...]]:
    """Return a function that goes forward and backward."""

    def run() -> tuple[torch.Tensor, ...]:
        out = way()
        return out.detach(), *torch.autograd.grad(out, tensors, above)

    return run


def median(run: Callable[[], object], times: int = 20) -> float:
    """Return the milliseconds that the device takes."""
    found: list[float] = []
    for _ in range(times + 3):
        event: Any = torch.cuda.Event  # has no types
        begin, end = event(enable_timing=True), event(enable_timing=True)
        begin.record()
        run()
        end.record()
        torch.cuda.synchronize()
        found.append(begin.elapsed_time(end))
    return statistics.median(found[3:])


def try_blocks(heads: int, keys: int, width: int, tokens: int) -> None:
    """Print the best five sizes of blocks of each kernel, in milliseconds of a whole layer."""
    tensors, above, ends = layer(heads, keys, width, dict(kinds(tokens))["chats"])
    query, key, value = tensors
    run = both(lambda: attend_documents(query, key, value, ends), tensors, above)
    wide = list(itertools.product((64, 128), (32, 64), (4, 8), (2, 3, 4)))
    narrow = list(itertools.product((32, 64), (64, 128), (4, 8), (2, 3)))
    for name, sizes in (("FORWARD", wide), ("QUERIES", wide), ("KEYS", narrow)):
        table: dict[int, Blocks] = getattr(document_attention, name)
        before, found = table[width], []
        for size in sizes:
            table[width] = Blocks(*size)
            try:
                found.append((median(run, 5), size))
            except Exception as error:  # noqa: BLE001 - too large for the device, in many ways
                print(f"    {name} {size}: {type(error).__name__}")
        table[width] = before
        best = ", ".join(f"{size} {ms:.3f}" for ms, size in sorted(found)[:5])
        print(f"    {name}: {best}", flush=True)


if __name__ == "__main__":
    main()
