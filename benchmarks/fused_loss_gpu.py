# mypy: ignore-errors
# pyright: basic, reportMissingImports=false, reportCallIssue=false
"""Times what makes training fast on a GPU, and checks it against the plain way there.

    python benchmarks/fused_loss_gpu.py [--tokens 32768] [--quick]

Three tables: the loss of the output layer in pieces of several sizes against all logits (and
Liger's, where it can be imported); attention over documents against dense attention; compiled
decoder blocks against eager ones. In bfloat16, with a Qwen2.5-0.5B's sizes. About 90 s.
"""

from __future__ import annotations

import argparse
import sys
import time
from itertools import pairwise
from pathlib import Path

import torch
from torch.nn import functional

for room in ("advisor", "trainer"):
    sys.path.insert(0, str(Path(__file__).parent.parent / room))

from ftadvise_trainer.speed import attention
from ftadvise_trainer.speed.attention_dense import dense
from ftadvise_trainer.speed.compiling import compile_blocks
from ftadvise_trainer.speed.linear_loss import Recipe, linear_nll, wide_sums

HIDDEN, VOCABULARY, HEADS, KEY_HEADS, WIDTH = 896, 151_936, 14, 2, 64


def timed(work, repeats=5, warm_up=2):
    """Return the median milliseconds of `work`, and the highest GiB it takes beside its inputs."""
    for _ in range(warm_up):
        work()
    torch.cuda.synchronize()
    torch.cuda.reset_peak_memory_stats()
    before = torch.cuda.memory_allocated()
    times = []
    for _ in range(repeats):
        start, end = (torch.cuda.Event(enable_timing=True) for _ in range(2))
        start.record()
        work()
        end.record()
        torch.cuda.synchronize()
        times.append(start.elapsed_time(end))
    return sorted(times)[len(times) // 2], (torch.cuda.max_memory_allocated() - before) / 2**30


def error(found, true):
    """Return the relative error, by norm."""
    found, true = found.detach().double(), true.detach().double()
    return float((found - true).norm() / true.norm())


def show(name, work, flops=0.0, **kwargs):
    """Print one line; what fails says so and the rest goes on."""
    try:
        begun = time.perf_counter()
        ms, gib = timed(work, **kwargs)
        rate = f"{flops / ms / 1e9:7.0f} TFLOP/s" if flops else ""
        print(
            f"  {name:<44} {ms:9.2f} ms {gib:7.2f} GiB {rate}  [{time.perf_counter() - begun:.1f} s]"
        )
    except Exception as problem:  # noqa: BLE001  # a table with a hole is better than none
        print(f"  {name:<44} failed: {type(problem).__name__}: {str(problem)[:200]}")
    sys.stdout.flush()
    torch.cuda.empty_cache()


def losses(tokens, quick):
    """Time and check the loss."""
    print(f"loss, forward and backward: {tokens} tokens x {HIDDEN} x {VOCABULARY}, bf16")
    torch.manual_seed(0)
    hidden = torch.randn(tokens, HIDDEN, device="cuda", dtype=torch.bfloat16, requires_grad=True)
    weight = torch.nn.Parameter(torch.randn(VOCABULARY, HIDDEN, device="cuda") * 0.05)
    targets = torch.randint(0, VOCABULARY, (tokens,), device="cuda")
    places = torch.arange(tokens, device="cuda")
    flops = 6.0 * tokens * HIDDEN * VOCABULARY

    def plain():
        hidden.grad = weight.grad = None
        with torch.autocast("cuda", torch.bfloat16):
            logits = functional.linear(hidden, weight)
        loss = functional.cross_entropy(logits.float(), targets, reduction="sum") / tokens
        loss.backward()

    def ours(recipe):
        def work():
            hidden.grad = weight.grad = None
            loss, _, _ = linear_nll(hidden, weight, None, targets, places, recipe)
            (loss / tokens).backward()

        return work

    wide = wide_sums(0, torch.bfloat16, torch.float32)
    print(f"  products of bf16 added to float32 in one operation: {wide}")
    check_loss(hidden, weight, targets)
    show("all logits, as transformers", plain, flops, repeats=3, warm_up=1)
    for mib in (256, 512, 1024, 2048, 4096, 10240) if not quick else (512, 2048):
        recipe = Recipe(chunk_bytes=mib << 20, compiled=True)
        show(f"compiled kernel, pieces of {mib} MiB", ours(recipe), flops)
    for mib in (256, 512, 1024):
        show(f"eager, pieces of {mib} MiB", ours(Recipe(chunk_bytes=mib << 20)), flops, repeats=3)
    try:
        from liger_kernel.transformers import LigerFusedLinearCrossEntropyLoss
    except ImportError:
        print("  Liger is not here")
        return
    liger = LigerFusedLinearCrossEntropyLoss(reduction="sum")

    def theirs():
        hidden.grad = weight.grad = None
        loss = liger(weight.to(torch.bfloat16), hidden, targets)
        (loss / tokens).backward()

    show("Liger", theirs, flops, repeats=3, warm_up=1)


def check_loss(hidden, weight, targets, few=2048):
    """Compare ours and the plain way with float64, on a part."""
    hidden = hidden.detach()[:few].clone().requires_grad_()
    targets, places = targets[:few], torch.arange(few, device="cuda")
    half = weight.detach().to(torch.bfloat16)
    h64, w64 = hidden.detach().double().requires_grad_(), half.double().requires_grad_()
    loss = functional.cross_entropy(h64 @ w64.t(), targets, reduction="sum") / few
    true = loss.detach(), *torch.autograd.grad(loss, (h64, w64))
    del h64, w64
    with torch.autocast("cuda", torch.bfloat16):
        logits = functional.linear(hidden, weight)
    loss = functional.cross_entropy(logits.float(), targets, reduction="sum") / few
    found = {"plain": (loss.detach(), *torch.autograd.grad(loss, (hidden, weight)))}
    del logits
    for compiled in (False, True):
        recipe = Recipe(chunk_bytes=200 << 20, compiled=compiled)
        loss, _, _ = linear_nll(hidden, weight, None, targets, places, recipe)
        name = "compiled" if compiled else "eager"
        loss = loss / few
        found[name] = (loss.detach(), *torch.autograd.grad(loss, (hidden, weight)))
    for name, parts in found.items():
        errors = ", ".join(f"{error(a, b):.1e}" for a, b in zip(parts, true, strict=True))
        print(f"  relative error to float64 (loss, d hidden, d weight), {name}: {errors}")
    torch.cuda.empty_cache()


def documents(tokens):
    """Return places where documents begin, of about 60 to 900 tokens, and the longest's length."""
    generator = torch.Generator().manual_seed(1)
    ends = [0]
    while ends[-1] < tokens:
        length = int(torch.randint(60, 900, (1,), generator=generator))
        ends.append(min(tokens, ends[-1] + length))
    longest = max(b - a for a, b in pairwise(ends))
    return torch.tensor(ends, dtype=torch.int32, device="cuda"), longest


def attentions(tokens):
    """Time and check attention over documents."""
    ends, longest = documents(tokens)
    print(
        f"attention of a layer, forward and backward: {tokens} tokens in {len(ends) - 1} documents, "
        f"{HEADS} heads, {KEY_HEADS} key heads of {WIDTH}, bf16; longest {longest}"
    )
    print(f"  varlen_attn takes: {sorted(attention._TAKES)}")
    module = torch.nn.Module()

    def tensors(n):
        torch.manual_seed(2)
        return tuple(
            torch.randn(1, h, n, WIDTH, device="cuda", dtype=torch.bfloat16, requires_grad=True)
            for h in (HEADS, KEY_HEADS, KEY_HEADS)
        )

    few = 4096
    ends_few, longest_few = documents(few)
    q, k, v = tensors(few)
    above = torch.randn(1, few, HEADS, WIDTH, device="cuda", dtype=torch.bfloat16)
    for native in (False, True):
        for window in (None, 100):
            attention.GROUPED["native"] = native
            try:
                out, _ = attention.attend(
                    module, q, k, v, None, cu_seq_lens_q=ends_few, max_length_q=longest_few,
                    sliding_window=window,
                )  # fmt: skip
                found = (out, *torch.autograd.grad(out, (q, k, v), above))
                wide = [x.detach().double().requires_grad_() for x in (q, k, v)]
                out = dense(*wide, ends_few, window).transpose(1, 2)
                true = (out, *torch.autograd.grad(out, wide, above.double()))
                errors = ", ".join(f"{error(a, b):.1e}" for a, b in zip(found, true, strict=True))
                print(
                    f"  relative error to float64 (out, dq, dk, dv), native groups {native}, window {window}: {errors}"
                )
            except Exception as problem:  # noqa: BLE001
                print(
                    f"  native groups {native}, window {window}: failed: {type(problem).__name__}: {str(problem)[:200]}"
                )
    q, k, v = tensors(tokens)
    above = torch.randn(1, tokens, HEADS, WIDTH, device="cuda", dtype=torch.bfloat16)

    def work(longest, **kwargs):
        def once():
            out, _ = attention.attend(
                module, q, k, v, None, cu_seq_lens_q=ends, max_length_q=longest, **kwargs
            )
            torch.autograd.grad(out, (q, k, v), above)

        return once

    for native in (False, True):
        attention.GROUPED["native"] = native
        show(f"varlen, native groups {native}, exact longest", work(longest))
    show("varlen, longest said to be 4,096", work(4096))
    show(f"varlen, longest said to be {tokens}", work(tokens))
    attention.GROUPED["native"] = "enable_gqa" in attention._TAKES
    one = torch.tensor([0, tokens], dtype=torch.int32, device="cuda")

    def causal():
        out = functional.scaled_dot_product_attention(q, k, v, is_causal=True, enable_gqa=True)
        torch.autograd.grad(out.transpose(1, 2), (q, k, v), above)

    show("sdpa causal over the whole row (contaminated)", causal, repeats=3)
    if tokens >= 16384:
        n = 8192
        ends_n, _ = documents(n)
        qn, kn, vn = tensors(n)
        show(
            "dense mask, 8,192 tokens only",
            lambda: torch.autograd.grad(dense(qn, kn, vn, ends_n).sum(), (qn, kn, vn)),
            repeats=3,
            warm_up=1,
        )
    del one


def model_of(layers):
    """Return random layers of a Qwen2.5-0.5B in bf16-autocast shape."""
    from transformers import Qwen2Config, Qwen2Model

    config = Qwen2Config(
        hidden_size=HIDDEN, intermediate_size=4864, num_hidden_layers=layers,
        num_attention_heads=HEADS, num_key_value_heads=KEY_HEADS, vocab_size=1024,
        max_position_embeddings=32768, use_cache=False,
    )  # fmt: skip
    torch.manual_seed(3)
    attention.register()
    model = Qwen2Model(config).cuda()
    model.set_attn_implementation(attention.NAME)
    attention.watch_documents(model)
    return model


def compiled_blocks(tokens, layers=4):
    """Time and check compiled blocks, at several widths: the second must not compile again."""
    print(f"{layers} decoder blocks under bf16 autocast, forward and backward, {tokens} tokens")
    model = model_of(layers)

    def run(n):
        ends, longest = documents(n)
        at = torch.arange(n, device="cuda", dtype=torch.int32)
        starts = ends[:-1][torch.searchsorted(ends[1:], at, right=True)]
        ids = torch.randint(0, 1024, (1, n), device="cuda")
        inputs = {
            "input_ids": ids, "position_ids": (at - starts)[None].long(), "cu_seq_lens_q": ends,
            "cu_seq_lens_k": ends, "max_length_q": longest, "max_length_k": longest,
        }  # fmt: skip

        def once():
            with torch.autocast("cuda", torch.bfloat16):
                out = model(**inputs)[0]
            out.float().pow(2).mean().backward()
            return out

        return once

    work = run(tokens)
    show("eager", work)
    model.zero_grad()
    eager_out = work().detach()
    eager_grad = [p.grad.clone() for p in model.layers.parameters()]
    begun = time.perf_counter()
    compile_blocks(model)
    model.zero_grad()
    out = work().detach()
    torch.cuda.synchronize()
    print(f"  first compiled step: {time.perf_counter() - begun:.1f} s")
    grads = [p.grad for p in model.layers.parameters()]
    worst = max(error(a, b) for a, b in zip(grads, eager_grad, strict=True))
    print(
        f"  compiled to eager, relative: out {error(out, eager_out):.1e}, gradients <= {worst:.1e}"
    )
    for n in (tokens - 128, tokens // 2, tokens // 4 + 128):
        begun = time.perf_counter()
        run(n)()
        torch.cuda.synchronize()
        print(f"  a row of another width, {n}: {time.perf_counter() - begun:.2f} s")
    show("compiled", work)
    model.gradient_checkpointing_enable({"use_reentrant": False})
    model.train()
    show("compiled, activation checkpointing", work)


def main():
    """Run all three."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--tokens", type=int, default=32768)
    parser.add_argument("--quick", action="store_true")
    asked = parser.parse_args()
    begun = time.perf_counter()
    print(torch.__version__, torch.cuda.get_device_name(), torch.version.cuda)
    for part in (
        lambda: attentions(asked.tokens),
        lambda: compiled_blocks(asked.tokens),
        lambda: losses(asked.tokens, asked.quick),
    ):
        try:
            part()
        except Exception as problem:  # noqa: BLE001
            print(f"failed: {type(problem).__name__}: {str(problem)[:500]}")
        print(f"  ({time.perf_counter() - begun:.0f} s so far)")
        torch.cuda.empty_cache()


if __name__ == "__main__":
    main()
