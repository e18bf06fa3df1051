"""The variants that are timed, and how each of them is run."""

from __future__ import annotations

import gc
import tempfile
from dataclasses import dataclass
from importlib import import_module
from importlib.util import find_spec
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

_TINY = {"batch": 4}
"""What `--tiny` changes in every variant."""


@dataclass(frozen=True)
class Variant:
    """One training that is timed.

    Attributes:
        name: For `--only`.
        what: What it is, in words.
        model: Name of the shape.
        how: `transformers`, `trl` or `ftadvise`.
        options: For the runner.
        warm_up: Steps that are left out.
        same: Variants with the same word saw the same batches in the same order.
        most: Steps at most.
        extra: Whether it runs only when it is named.
    """

    name: str
    what: str
    model: str
    how: str
    options: tuple[tuple[str, Any], ...] = ()
    warm_up: int = 5
    same: str = ""
    most: int = 100_000
    extra: bool = False


def _of(name: str, what: str, model: str, how: str, **more: Any) -> Variant:
    known = {key: more.pop(key) for key in ("warm_up", "same", "most", "extra") if key in more}
    return Variant(name, what, model, how, tuple(more.items()), **known)


_GROUPED = ("train_sampling_strategy", "group_by_length")
_IN_ORDER = ("train_sampling_strategy", "sequential")
_SAME: dict[str, Any] = {"batch": 8, "most": 20, "same": "8 in order", "warm_up": 3}

VARIANTS = (
    _of("hf", "transformers.Trainer: bf16 weights, batch 8, padded", "0.5B", "transformers"),
    _of(
        "hf-tuned",
        "transformers.Trainer: bf16 weights, batch 32 of like length, Liger",
        "0.5B",
        "transformers",
        batch=32,
        liger=True,
        options=(_GROUPED,),
    ),
    _of(
        "hf-flat",
        "transformers.Trainer: bf16 weights, batch 32 flattened, sdpa, Liger",
        "0.5B",
        "transformers",
        batch=32,
        liger=True,
        flat=True,
        attention="sdpa",
    ),
    _of(
        "trl",
        "SFTTrainer: bf16 weights, packing, 4 rows of 2,048, loss in chunks, Liger, sdpa",
        "0.5B",
        "trl",
        batch=4,
    ),
    _of(
        "trl-flex",
        "the same with flex attention, 8 rows",
        "0.5B",
        "trl",
        attention="flex_attention",
        batch=8,
        warm_up=8,
    ),
    _of("ours", "ftadvise: float32 weights, batch 128", "0.5B", "ftadvise", warm_up=10),
    _of(
        "ours-256",
        "ftadvise: float32 weights, batch 256",
        "0.5B",
        "ftadvise",
        batch=256,
        warm_up=8,
    ),
    _of("ours-eager", "ftadvise: the same, not compiled", "0.5B", "ftadvise", compile=False),
    _of(
        "ours-bf16",
        "ftadvise: bf16 weights",
        "0.5B",
        "ftadvise",
        dtype="bfloat16",
        warm_up=10,
        extra=True,
    ),
    _of(
        "same-hf",
        "transformers.Trainer: float32 weights, batch 8 in order, padded",
        "0.5B",
        "transformers",
        dtype="float32",
        options=(_IN_ORDER,),
        **_SAME,
    ),
    _of(
        "same-unpacked",
        "ftadvise: the same batches, padded",
        "0.5B",
        "ftadvise",
        packing=False,
        compile=False,
        in_order=True,
        **_SAME,
    ),
    _of(
        "same-packed",
        "ftadvise: the same batches, packed",
        "0.5B",
        "ftadvise",
        compile=False,
        in_order=True,
        **_SAME,
    ),
    _of(
        "same-compiled",
        "ftadvise: the same batches, packed and compiled",
        "0.5B",
        "ftadvise",
        compile=True,
        in_order=True,
        **_SAME,
    ),
    _of(
        "hf-tuned-1.5B",
        "transformers.Trainer: bf16 weights, batch 32 of like length, Liger",
        "1.5B",
        "transformers",
        batch=32,
        liger=True,
        options=(_GROUPED,),
    ),
    _of("ours-1.5B", "ftadvise: float32 weights, batch 128", "1.5B", "ftadvise", warm_up=10),
    _of(
        "ours-7B",
        "ftadvise: bf16 weights, stochastic rounding, batch 128",
        "7B",
        "ftadvise",
        dtype="bfloat16",
        warm_up=6,
    ),
)


def chosen(models: list[str], names: list[str], *, tiny: bool) -> list[Variant]:
    """Return the variants to run: those of some models, or those that are named."""
    if unknown := set(names) - {v.name for v in VARIANTS}:
        raise SystemExit(f"no variant is called {', '.join(sorted(unknown))}; --list names all")
    if names:
        return [v for v in VARIANTS if v.name in names]
    return [v for v in VARIANTS if tiny or (v.model in models and not v.extra)]


def run(
    variant: Variant, seconds: float, *, tiny: bool, ready: Callable[[], object] | None = None
) -> dict[str, Any]:
    """Run one variant in this process, and return what it measured.

    Args:
        variant: Which one.
        seconds: To measure for.
        tiny: Whether to take a tiny model and a few steps.
        ready: Called before the GPU is touched; returns when it is this variant's turn.
    """
    import torch
    from speed_data import SHAPES, examples, mean_length

    if missing := _missing(variant):
        return {"error": f"left out: {missing}"}
    shape = "tiny" if tiny else variant.model
    rows = examples(400 if tiny else 16_000, SHAPES[shape].vocabulary, 128 if tiny else 2048)
    runner = _runner(variant)
    from speed_clock import StepClock

    from ftadvise_trainer.speed import flops

    warm_up, most = (1, 4) if tiny else (variant.warm_up, variant.most)
    options = dict(variant.options) | (_TINY if tiny else {})
    if ready is not None:
        ready()
    wanted, found = options.get("batch", 8), None
    while found is None:
        clock = StepClock(warm_up, seconds, most)
        try:
            with tempfile.TemporaryDirectory() as folder:
                found = runner(shape, rows, clock, folder, **options)
        except torch.OutOfMemoryError:
            # ftadvise has ways of its own; the others get the largest batch that fits.
            if variant.how == "ftadvise" or options.get("batch", 8) == 1:
                raise
            options["batch"] = options.get("batch", 8) // 2
        gc.collect()
        if found is None:
            torch.cuda.empty_cache()
    peak, each = flops.peak(_device_name()), _flops(shape)
    for key, length in (("mfu", 0.0), ("mfu_with_attention", mean_length(rows))):
        found[key] = flops.mfu(each.per_token(length) * found["tokens_per_second"], 1.0, peak)
    found |= {"batch_wanted": wanted, "options": _plain(options)}
    return found | {"same": variant.same, "examples": len(rows)}


def _plain(options: dict[str, Any]) -> dict[str, Any]:
    return {key: dict(value) if key == "options" else value for key, value in options.items()}


def _device_name() -> str:
    import torch

    return torch.cuda.get_device_name() if torch.cuda.is_available() else "CPU"


def _flops(shape: str) -> Any:
    import torch
    from speed_data import config_of
    from transformers import AutoModelForCausalLM

    from ftadvise_trainer.speed import flops

    auto: Any = AutoModelForCausalLM
    with torch.device("meta"):
        return flops.of_model(auto.from_config(config_of(shape)))


def _missing(variant: Variant) -> str:
    """Return what a variant needs and is not here."""
    import torch

    needs = ("trl", "datasets", "pyarrow") if variant.how == "trl" else ()
    absent = [f"{name} is not installed" for name in needs if find_spec(name) is None]
    if dict(variant.options).get("attention") == "flex_attention":
        # `is_available` does not make a context on the GPU.
        absent += [] if torch.cuda.is_available() else ["flex attention has no backward on a CPU"]
    return ", ".join(absent)


def _runner(variant: Variant) -> Callable[..., dict[str, Any]]:
    """Import what a variant needs, and return what runs it."""
    if variant.how == "ftadvise":
        from speed_ours import run_ours

        return run_ours
    import speed_peers

    if variant.how == "trl":
        import_module("trl")  # slow, and better before it is this variant's turn
        return speed_peers.run_trl
    return speed_peers.run_peer
