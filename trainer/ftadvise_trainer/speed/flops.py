"""FLOPs of a training step, peak FLOP/s of GPUs, and the share of it that is used (MFU).

A trained token costs 6 FLOPs for each parameter of a matrix it goes through: 2 in the forward
pass, 2 for the gradient of the input and 2 for that of the weight (Kaplan et al. 2020, section
2.1). Embeddings are looked up, not multiplied, and cost nothing; the output head, tied or not, is a
matrix of vocabulary x width and costs as any other, for the tokens that it is computed for. A
frozen matrix (LoRA) has no gradient of its own and costs 4.

Attention adds 12 x layers x width x length for a token: 2 products of 2 FLOPs, three times, with
`width` = heads x size of a head and `length` the number of tokens of its document. This is the
convention of PaLM (Chowdhery et al. 2022, appendix B), torchtitan and others: the whole square is
counted, also the half that a causal mask leaves out. Flash kernels skip that half, so a long
document can look up to twice as good in this part; it is kept because published numbers are counted
so. `6N`, without attention, is free of the question and always given besides. Documents that share
a row do not attend to each other, and count with their own lengths.

Activations that are computed again (checkpointing) are no FLOPs of the model and are not counted:
a run that recomputes has a lower MFU.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class ModelFlops:
    """What the FLOPs of a model depend on.

    Attributes:
        trained: Parameters of trained matrices, embeddings and head left out.
        frozen: The same of frozen ones.
        head: Parameters of the output head, vocabulary x width.
        head_trained: Whether its weight gets a gradient.
        attention: Layers x heads x size of a head.
    """

    trained: float
    frozen: float
    head: float
    head_trained: bool
    attention: float

    def per_token(self, length: float = 0.0, head_share: float = 1.0) -> float:
        """Return the FLOPs of a token.

        Args:
            length: Mean number of tokens of the document that a token is in, the mean taken over
                tokens: sum of squared lengths / sum of lengths. 0 leaves attention out (6N).
            head_share: Share of the tokens for which the head is computed; below 1 only for a loss
                that computes it for the trained tokens alone.
        """
        head = (6.0 if self.head_trained else 4.0) * self.head * head_share
        return 6.0 * self.trained + 4.0 * self.frozen + head + 12.0 * self.attention * length


def of_model(model: nn.Module) -> ModelFlops | None:
    """Return what a causal language model of transformers (or PEFT) costs, None where unknown.

    The parameters of experts count by the share of the experts that a token goes through.
    Quantized weights are packed in ways of their own, and give None.
    """
    config: Any = getattr(model, "config", None)
    if not hasattr(config, "get_text_config") or hasattr(config, "quantization_config"):
        return None
    text: Any = config.get_text_config()
    layers, heads = (
        getattr(text, key, None) for key in ("num_hidden_layers", "num_attention_heads")
    )
    if not layers or not heads:
        return None
    trained, frozen = _matrices(model, _expert_share(text))
    lookup: Any = model
    output: Any = lookup.get_output_embeddings()
    weight = None if output is None else getattr(output, "weight", None)
    head = 0.0 if weight is None else float(weight.numel())
    size = getattr(text, "head_dim", None) or text.hidden_size // heads
    is_trained = weight is not None and bool(weight.requires_grad)
    return ModelFlops(trained, frozen, head, is_trained, float(layers * heads * size))


def _matrices(model: Any, expert_share: float) -> tuple[float, float]:
    """Return the parameters that tokens are multiplied with: trained, frozen; without the head."""
    from torch import nn

    left_out = {id(m.weight) for m in model.modules() if isinstance(m, nn.Embedding)}
    output = model.get_output_embeddings()
    if output is not None:
        left_out.add(id(getattr(output, "weight", None)))
    counts = {True: 0.0, False: 0.0}
    for name, parameter in model.named_parameters():
        if id(parameter) not in left_out:
            share = expert_share if ".experts." in name else 1.0
            counts[parameter.requires_grad] += share * parameter.numel()
    return counts[True], counts[False]


def _expert_share(text: Any) -> float:
    """Return the share of the experts that a token goes through; 1 for dense models."""
    used = getattr(text, "num_experts_per_tok", None)
    names = ("num_experts", "num_local_experts", "n_routed_experts")
    every = next((getattr(text, name) for name in names if getattr(text, name, None)), None)
    return float(used) / float(every) if used and every else 1.0


# bf16 on matrix units, dense, accumulated in float32. NVIDIA's data sheets of H100, H200, L40S, L4,
# GB200 and HGX B200 give twice as much, "with sparsity". Of two that fit a name the longer counts.
PEAKS = {
    "A100": 312e12,  # nvidia.com/en-us/data-center/a100
    "A800": 312e12,
    "A10": 125e12,  # nvidia.com/en-us/data-center/products/a10-gpu
    "A30": 165e12,  # nvidia.com/en-us/data-center/products/a30-gpu
    "A40": 149.7e12,  # nvidia.com/en-us/data-center/a40
    "H100": 989e12,  # SXM, nvidia.com/en-us/data-center/h100
    "H100 PCIe": 756e12,
    "H100 NVL": 835e12,
    "H800": 989e12,
    "H800 PCIe": 756e12,
    "H20": 148e12,
    "H200": 989e12,  # SXM, nvidia.com/en-us/data-center/h200
    "H200 NVL": 836e12,
    "GH200": 989e12,
    "B200": 2250e12,  # HGX B200, Blackwell data sheet
    "GB200": 2500e12,  # GB200 NVL72: 360 PFLOP/s with sparsity for 72
    "L4": 121e12,  # nvidia.com/en-us/data-center/l4
    "L40": 181e12,  # nvidia.com/en-us/data-center/l40
    "L40S": 362e12,  # nvidia.com/en-us/data-center/l40s
    "RTX 3090": 71e12,  # GA102 whitepaper, table of the RTX 3090
    "RTX 4090": 165.2e12,  # Ada whitepaper, appendix A; half of what it does with fp16 sums
    "RTX 5090": 209.5e12,  # RTX Blackwell whitepaper, appendix A
    "RTX A6000": 154.8e12,  # RTX A6000 data sheet, half of its number with sparsity
    "RTX 6000 Ada": 364.2e12,
    "MI300X": 1307e12,  # amd.com/en/products/accelerators/instinct/mi300/mi300x
    "MI325X": 1307e12,
}


_WEAKER = {"laptop", "mig", "d"}
"""Words in the names of GPUs that are less than their namesakes."""


def peak(name: str) -> float | None:
    """Return the peak FLOP/s of a GPU in dense bf16, None where its name is not known.

    Args:
        name: As `torch.cuda.get_device_name()` gives it, such as `NVIDIA H100 80GB HBM3`.
    """
    words = name.lower().replace("-", " ").split()
    if not _WEAKER.isdisjoint(words):
        return None
    fitting = [known for known in PEAKS if _all_in(known.lower().split(), words)]
    return PEAKS[max(fitting, key=len)] if fitting else None


def _all_in(wanted: list[str], words: list[str]) -> bool:
    return all(word in words for word in wanted)


def mfu(flops: float, seconds: float, peak_flops: float | None, devices: int = 1) -> float | None:
    """Return the share of the peak that `flops` in `seconds` are, None where the peak is unknown.

    Args:
        flops: Of all devices together.
        seconds: Time they took.
        peak_flops: Peak FLOP/s of one device.
        devices: How many there are.
    """
    if not peak_flops or seconds <= 0:
        return None
    return flops / seconds / (peak_flops * devices)
