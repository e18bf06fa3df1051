"""Attention over documents that lie end to end in a row, none of which sees another.

Registered with transformers as `ftadvise_varlen`. A forward pass that is given `cu_seq_lens_q`
(where each document begins, and where the last one ends) goes document by document: through our own
kernels or `torch.nn.attention.varlen` on a GPU in half precision, through dense attention elsewhere.
A forward pass without it is that of transformers' `sdpa`, mask and all.
"""

from __future__ import annotations

import inspect
import threading
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import torch
from torch.nn.attention.varlen import varlen_attn
from transformers import AttentionInterface, AttentionMaskInterface, PreTrainedModel
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import sdpa_mask

from ftadvise_trainer.speed import document_attention
from ftadvise_trainer.speed.attention_dense import dense, one_by_one

if TYPE_CHECKING:
    from torch.utils.hooks import RemovableHandle

NAME = "ftadvise_varlen"
"""What `attn_implementation` is set to."""

MAX_HEAD_DIM = 256
"""Widest head of the flash kernel."""

_DOCUMENTS = "cu_seq_lens_q"
_UNKNOWN = ("softcap", "s_aux", "sinks", "position_bias", "head_mask")
"""What some models add to attention, and neither of the two ways here has."""
_HALF = (torch.float16, torch.bfloat16)


class UnsupportedAttention(ValueError):
    """A layer wants something that attention over documents does not have."""


@dataclass
class Seen:
    """What the layers of a model asked of attention, and its masks, during a probe.

    Attributes:
        heads: (query heads, key heads, width of a key, width of a value) of each kind of layer.
        windows: Sliding windows that layers gave to the attention function; None is no window.
        masks: Windows that masks were asked for.
        dropout: The highest dropout.
        calls: Layers that were seen.
    """

    heads: set[tuple[int, int, int, int]] = field(default_factory=set[tuple[int, int, int, int]])
    windows: set[int | None] = field(default_factory=set[int | None])
    masks: set[int | None] = field(default_factory=set[int | None])
    dropout: float = 0.0
    calls: int = 0


class State(threading.local):
    """What this thread is at: how deep in packed forward passes, and who looks on."""

    depth: int = 0
    seen: Seen | None = None


STATE = State()

_TAKES = set(inspect.signature(varlen_attn).parameters)
GROUPED: dict[str, bool] = {"native": "enable_gqa" in _TAKES}
"""Whether the kernel takes fewer key than query heads. Torch says so since 2.12; before that
`attention_check.kernel_problem` tries it, and without it keys and values are repeated."""

OWN: dict[str, bool] = {"kernels": False}
"""Whether layers go through the kernels of `document_attention`, where there are some for them.
`attention_check.own_kernels` tries them."""


def register() -> None:
    """Make `NAME` known to transformers; doing so again changes nothing."""
    AttentionInterface.register(NAME, attend)
    AttentionMaskInterface.register(NAME, mask)


def watch_documents(model: Any, *, placeholder: bool = False) -> list[RemovableHandle]:
    """Let no mask be built while `model` goes forward with documents.

    Masks are built outside of the attention function, by something that is not told about the
    documents: of 32,768 tokens they would take a gigabyte.

    Args:
        model: The model.
        placeholder: Whether to give it a mask of four dimensions, which transformers passes on as
            it is. Without one it looks at the positions for documents, and waits for the device.

    Returns:
        Handles that undo it.
    """
    enter = _enter_with_mask if placeholder else _enter
    handles: list[RemovableHandle] = []
    for module in model.modules():
        if module is model or isinstance(module, PreTrainedModel):
            handles.append(module.register_forward_pre_hook(enter, with_kwargs=True))
            handles.append(
                module.register_forward_hook(_leave, with_kwargs=True, always_call=True)
            )
    return handles


def _enter(module: Any, args: Any, kwargs: dict[str, Any]) -> None:
    STATE.depth += kwargs.get(_DOCUMENTS) is not None


def _enter_with_mask(
    module: Any, args: Any, kwargs: dict[str, Any]
) -> tuple[Any, dict[str, Any]] | None:
    _enter(module, args, kwargs)
    ends = kwargs.get(_DOCUMENTS)
    if ends is None or kwargs.get("attention_mask") is not None:
        return None
    return args, {**kwargs, "attention_mask": ends.new_zeros(1, 1, 1, 1)}


def _leave(module: Any, args: Any, kwargs: dict[str, Any], result: Any) -> None:
    STATE.depth -= kwargs.get(_DOCUMENTS) is not None


def mask(*args: Any, **kwargs: Any) -> torch.Tensor | None:
    """Return the mask that `sdpa` gets, and none where there are documents."""
    if STATE.seen is not None:
        STATE.seen.masks.add(kwargs.get("local_size"))
    return None if STATE.depth else sdpa_mask(*args, **kwargs)


def attend(
    module: torch.nn.Module,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    **kwargs: Any,
) -> tuple[torch.Tensor, None]:
    """Return the values that each query attends to, as transformers' attention functions do.

    Args:
        module: The layer.
        query: Shape (rows, heads, tokens, width).
        key: Shape (rows, key heads, tokens, width).
        value: As `key`.
        attention_mask: For `sdpa`, where no documents are given.
        **kwargs: `dropout`, `scaling`, `sliding_window`; and `cu_seq_lens_q`, `max_length_q` of a
            single row: int32 of shape (documents + 1,), and the length of the longest.

    Returns:
        Shape (rows, tokens, heads, width), and None for the weights.

    Raises:
        UnsupportedAttention: The layer wants something that only its own implementation has.
    """
    ends = kwargs.get(_DOCUMENTS)
    if ends is None:
        result: Any = sdpa_attention_forward(module, query, key, value, attention_mask, **kwargs)
        return result[0], None
    _check(module, query, key, kwargs)
    window: int | None = kwargs.get("sliding_window")
    dropout: float = kwargs.get("dropout") or 0.0
    if not torch.compiler.is_compiling() and STATE.seen is not None:
        _note(STATE.seen, query, key, value, window, dropout)
    dtype = _dtype(query)
    if runs_on_kernel(query.device, dtype, query.shape[-1], value.shape[-1], dropout):
        longest: int = kwargs.get("max_length_q") or query.shape[2]
        return _varlen(
            query.to(dtype), key.to(dtype), value.to(dtype), ends, longest, window,
            kwargs.get("scaling"),
        ), None  # fmt: skip
    by_host = query.device.type == "cpu" and not torch.compiler.is_compiling()
    way = one_by_one if by_host else dense
    attended = way(query, key, value, ends, window, kwargs.get("scaling"), dropout)
    return attended.transpose(1, 2).contiguous(), None


def runs_on_kernel(
    device: torch.device, dtype: torch.dtype, width: int, value_width: int, dropout: float
) -> bool:
    """Return whether a layer can go through the kernel for documents."""
    return (
        device.type == "cuda"
        and dtype in _HALF
        and width == value_width <= MAX_HEAD_DIM
        and width % 8 == 0
        and dropout == 0.0
    )


def _varlen(
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    ends: torch.Tensor,
    longest: int,
    window: int | None,
    scaling: float | None,
) -> torch.Tensor:
    if OWN["kernels"] and query.shape[-1] in document_attention.WIDTHS:
        q, k, v = (x[0].transpose(0, 1) for x in (query, key, value))
        return document_attention.attend_documents(q, k, v, ends, window, scaling)[None]
    groups = query.shape[1] // key.shape[1]
    how: dict[str, Any] = {}
    if groups > 1 and not GROUPED["native"]:
        key, value = (x.repeat_interleave(groups, dim=1) for x in (key, value))
    elif groups > 1 and "enable_gqa" in _TAKES:
        how["enable_gqa"] = True
    # To the left of a token its window has one place less than it sees, for it sees itself.
    how["window_size"] = (-1 if window is None else window - 1, 0)
    q, k, v = (x[0].transpose(0, 1) for x in (query, key, value))
    call: Any = varlen_attn
    attended: torch.Tensor = call(q, k, v, ends, ends, longest, longest, scale=scaling, **how)
    return attended[None]


def _dtype(query: torch.Tensor) -> torch.dtype:
    """Return the type to compute in: under autocast the rotary embedding has left float32."""
    kind = query.device.type
    return torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else query.dtype


def _check(
    module: torch.nn.Module, query: torch.Tensor, key: torch.Tensor, kwargs: dict[str, Any]
) -> None:
    wanted = [name for name in _UNKNOWN if kwargs.get(name) is not None]
    if wanted:
        raise UnsupportedAttention(f"its attention has {wanted[0]}")
    causal = kwargs.get("is_causal")
    if not (getattr(module, "is_causal", True) if causal is None else causal):
        raise UnsupportedAttention("its attention is not causal")
    if query.shape[0] != 1 or query.shape[2] != key.shape[2]:
        raise UnsupportedAttention(
            f"one row with all of its keys is wanted, not queries {tuple(query.shape)} "
            f"and keys {tuple(key.shape)}"
        )


def _note(
    seen: Seen,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    window: int | None,
    dropout: float,
) -> None:
    seen.calls += 1
    seen.heads.add((query.shape[1], key.shape[1], query.shape[-1], value.shape[-1]))
    seen.windows.add(window)
    seen.dropout = max(seen.dropout, dropout)
