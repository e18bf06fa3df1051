"""Tries attention over documents before a run relies on it: on the model, and on the GPU."""

from __future__ import annotations

import contextlib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch

from ftadvise_trainer.speed import attention, document_attention
from ftadvise_trainer.speed.attention_dense import dense

if TYPE_CHECKING:
    from collections.abc import Generator

_LENGTHS = (5, 7)
_TOLERANCE = {torch.float64: 1e-9, torch.float32: 1e-4}
_HALF_TOLERANCE = 0.1
"""Relative, of all logits together: bfloat16 through some dozens of layers. Positions or documents
that are mixed up change them by as much as they are."""

_SAME = {torch.float64: 1e-12, torch.float32: 1e-6}
_HALF_SAME = 4e-3
"""Relative; the same operations on the same numbers, save that experts get other batches."""


@dataclass(frozen=True)
class Trial:
    """How a model took to documents.

    Attributes:
        problem: Why it must not be packed; None where it can be.
        seen: What its layers asked for.
    """

    problem: str | None
    seen: attention.Seen


def try_documents(model: Any, before: str) -> Trial:
    """Compare a row of two documents with the documents one by one, and change one of them.

    Nothing of the model is changed when this returns.

    Args:
        model: A causal language model, anywhere but on the meta device.
        before: Its attention, which it gets back.
    """
    seen = attention.Seen()
    with quiet(model):
        ids = _tokens(model)
        first, second = ids[:, : _LENGTHS[0]], ids[:, _LENGTHS[0] :]
        true = torch.cat([_logits(model, one) for one in (first, second)], dim=1)
        with _switched(model, before):
            found = _logits(model, ids, **_documents(ids.device))
            if not seen_by(seen, model, ids):
                return Trial("its attention is its own, not one of transformers' interface", seen)
            changed = torch.cat([(first + 1) % _size(model), second], dim=1)
            other = _logits(model, changed, **_documents(ids.device))
    if not _close(found, true):
        return Trial("its logits differ when documents share a row", seen)
    after = slice(_LENGTHS[0], None)
    if not _close(other[:, after], found[:, after], _SAME.get(found.dtype, _HALF_SAME)):
        return Trial("one document changes the logits of another", seen)
    if seen.masks - {None} != seen.windows - {None}:
        return Trial("some of its masks are windows that its attention is not told about", seen)
    return Trial(None, seen)


def seen_by(seen: attention.Seen, model: Any, ids: torch.Tensor) -> bool:
    """Go forward once as in training, and note what the layers ask for."""
    attention.STATE.seen = seen
    try:
        model.train()
        _logits(model, ids, **_documents(ids.device))
    finally:
        model.eval()
        attention.STATE.seen = None
    return seen.calls > 0


def switch_on(model: Any) -> None:
    """Give the model attention over documents, for good."""
    attention.register()
    model.set_attn_implementation(attention.NAME)
    attention.watch_documents(model, placeholder=_takes_placeholder(model))


def _takes_placeholder(model: Any) -> bool:
    """Return whether a mask that is none changes nothing, so that nothing waits for the device."""
    found: list[torch.Tensor] = []
    with quiet(model):
        ids = _tokens(model)
        for placeholder in (False, True):
            handles = attention.watch_documents(model, placeholder=placeholder)
            try:
                found.append(_logits(model, ids, **_documents(ids.device)))
            except (RuntimeError, ValueError, TypeError, IndexError, AttributeError):
                return False
            finally:
                for handle in handles:
                    handle.remove()
    return bool(torch.equal(*found))


def kernel_problem(seen: attention.Seen, device: torch.device, dtype: torch.dtype) -> str | None:
    """Return why a GPU cannot do what the layers ask for, or None.

    It tries each kind of layer with a few tokens, backward too, against dense attention.

    Args:
        seen: What the layers ask for.
        device: A GPU.
        dtype: The type it is computed in.
    """
    if dtype not in (torch.float16, torch.bfloat16):
        return "attention over documents on a GPU needs bf16"
    if seen.dropout > 0.0:
        return "its attention has dropout, which attention over documents on a GPU has not"
    for heads, keys, width, value_width in sorted(seen.heads):
        if not attention.runs_on_kernel(device, dtype, width, value_width, 0.0):
            return f"heads of width {width} are more than attention over documents takes on a GPU"
        for window in seen.windows:
            problem = _grouped_problem(heads, keys, width, window, device, dtype)
            if problem is not None:
                return problem
    return None


def own_kernels(seen: attention.Seen, device: torch.device, dtype: torch.dtype) -> bool:
    """Return whether our own kernels do what the layers ask for, each of which is tried.

    Args:
        seen: What the layers ask for, which torch's kernel can do.
        device: A GPU.
        dtype: The type it is computed in.
    """
    if not all(document_attention.available(width) for _, _, width, _ in seen.heads):
        return False
    attention.OWN["kernels"] = True
    try:
        return not any(
            _kernel_wrong(heads, keys, width, window, device, dtype)
            for heads, keys, width, _ in sorted(seen.heads)
            for window in seen.windows
        )
    except Exception:  # noqa: BLE001 - a compiler may fail in any way; there is another kernel
        return False
    finally:
        attention.OWN["kernels"] = False


def _grouped_problem(*layer: Any) -> str | None:
    """Try a kind of layer with as few key heads as it has, then with keys that are repeated."""
    said = attention.GROUPED["native"]
    problem = None
    for native in (True,) if said else (True, False):
        attention.GROUPED["native"] = native
        try:
            wrong = _kernel_wrong(*layer)
            problem = "attention over documents gives wrong numbers on this GPU" if wrong else None
        except (RuntimeError, ValueError, TypeError, NotImplementedError) as error:
            problem = f"attention over documents fails on this GPU: {str(error).splitlines()[0]}"
        if problem is None:
            return None
    return problem


def _kernel_wrong(
    heads: int, keys: int, width: int, window: int | None, device: torch.device, dtype: torch.dtype
) -> bool:
    generator = torch.Generator().manual_seed(1)
    tokens = 256  # of which our own kernels take whole blocks, as they do of a run's rows
    tensors = [
        torch.randn(1, n, tokens, width, generator=generator).to(device, dtype).requires_grad_()
        for n in (heads, keys, keys)
    ]
    above = torch.randn(1, tokens, heads, width, generator=generator).to(device, dtype)
    ends = torch.tensor([0, 70, tokens], dtype=torch.int32, device=device)
    local = None if window is None else min(window, 50)
    scaling = width**-0.5
    call: Any = attention.attend
    told = {"cu_seq_lens_q": ends, "max_length_q": tokens - 70, "sliding_window": local}
    with torch.enable_grad(), torch.autocast(device.type, enabled=False):
        out, _ = call(torch.nn.Module(), *tensors, None, scaling=scaling, **told)
        found = (out, *torch.autograd.grad(out, tensors, above))
        wide = [x.detach().float().requires_grad_() for x in tensors]
        out = dense(wide[0], wide[1], wide[2], ends, local, scaling).transpose(1, 2)
        true = (out, *torch.autograd.grad(out, wide, above.float()))
    return not all(_close(a, b, 2e-2) for a, b in zip(found, true, strict=True))


def _documents(device: torch.device) -> dict[str, Any]:
    ends = torch.tensor([0, _LENGTHS[0], sum(_LENGTHS)], dtype=torch.int32, device=device)
    places = [torch.arange(length, device=device) for length in _LENGTHS]
    return {
        "position_ids": torch.cat(places)[None],
        "cu_seq_lens_q": ends,
        "cu_seq_lens_k": ends,
        "max_length_q": max(_LENGTHS),
        "max_length_k": max(_LENGTHS),
    }


def _logits(model: Any, ids: torch.Tensor, **kwargs: Any) -> torch.Tensor:
    outputs: Any = model(input_ids=ids, use_cache=False, **kwargs)
    logits: torch.Tensor = outputs["logits"] if isinstance(outputs, dict) else outputs[0]
    return logits


def _tokens(model: Any) -> torch.Tensor:
    """Return ids of one row, the same each time."""
    device = next(model.parameters()).device
    generator = torch.Generator().manual_seed(0)
    ids = torch.randint(0, _size(model), (1, sum(_LENGTHS)), generator=generator)
    return ids.to(device)


def _size(model: Any) -> int:
    return int(model.get_input_embeddings().weight.shape[0])


@contextlib.contextmanager
def quiet(model: Any) -> Generator[None]:
    """Go forward without gradients, dropout or a trace in the random numbers."""
    training = {name for name, module in model.named_modules() if module.training}
    device = next(model.parameters()).device
    devices = [device] if device.type == "cuda" else []
    model.eval()
    try:
        with torch.no_grad(), torch.random.fork_rng(devices=devices):
            yield
    finally:
        for name, module in model.named_modules():
            module.training = name in training


@contextlib.contextmanager
def _switched(model: Any, before: str) -> Generator[None]:
    """Give the model attention over documents for a while."""
    attention.register()
    model.set_attn_implementation(attention.NAME)
    handles = attention.watch_documents(model)
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()
        model.set_attn_implementation(before)


def _close(found: torch.Tensor, true: torch.Tensor, tolerance: float | None = None) -> bool:
    """Return whether numbers agree: in wide types each of them, in half precision as a whole.

    Half precision rounds by the order in which a GPU adds up, another one for rows of another
    length, and through some dozens of layers single numbers drift apart by more than any bound.
    """
    half = true.dtype not in _TOLERANCE
    if tolerance is None:
        tolerance = _TOLERANCE.get(true.dtype, _HALF_TOLERANCE)
    wide = true.double() if true.device.type != "mps" else true.float()
    difference = found.to(wide.dtype) - wide
    if half or found.dtype not in _TOLERANCE:
        return bool(difference.norm() <= tolerance * wide.norm().clamp(min=1e-6))
    return bool(difference.abs().max() <= tolerance * wide.abs().max().clamp(min=1e-6))
