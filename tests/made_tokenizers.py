"""Tokenizers made on the spot, of the kinds that models have."""

from __future__ import annotations

from typing import Any

TEXT = [
    "What is the capital of France? The capital of France is Paris.",
    "Below is an instruction that describes a task. Write a response.",
    "system user assistant question answer be brief ### Instruction: Response: Input: [INST] [/INST]",
]


def bytes_tokenizer(
    *special: str, bos: str | None = None, eos: str = "<|endoftext|>", trim: bool = False
) -> Any:
    """Return a byte-level BPE, as Qwen, Llama 3 and GPT-2 have it.

    Args:
        special: Special tokens besides `bos` and `eos`.
        bos: Beginning of sequence, which is then put before every text.
        eos: End of sequence.
        trim: Whether spaces count for no characters of a token, as in GPT-2.
    """
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    names = list(dict.fromkeys(token for token in (bos, eos, *special) if token))
    trainer = trainers.BpeTrainer(
        vocab_size=400,
        special_tokens=names,
        initial_alphabet=pre_tokenizers.ByteLevel.alphabet(),
        show_progress=False,
    )
    inner.train_from_iterator(TEXT, trainer)
    if bos:
        inner.post_processor = processors.TemplateProcessing(
            single=f"{bos} $A", special_tokens=[(bos, inner.token_to_id(bos))]
        )
    else:
        inner.post_processor = processors.ByteLevel(trim_offsets=trim)
    return _wrapped(inner, bos, eos)


def pieces_tokenizer(*special: str, bos: str = "<s>", eos: str = "</s>") -> Any:
    """Return a BPE on pieces with a mark for spaces, as Llama 2, Mistral and Gemma have it."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors, trainers

    inner = Tokenizer(models.BPE(byte_fallback=True, unk_token="<unk>", fuse_unk=True))
    inner.pre_tokenizer = pre_tokenizers.Metaspace(prepend_scheme="first", split=False)
    inner.decoder = decoders.Sequence(
        [decoders.Replace("▁", " "), decoders.ByteFallback(), decoders.Fuse()]
    )
    fallback = [f"<0x{byte:02X}>" for byte in range(256)]
    names = list(dict.fromkeys(("<unk>", bos, eos, *special)))
    trainer = trainers.BpeTrainer(vocab_size=600, special_tokens=names, show_progress=False)
    inner.train_from_iterator([*TEXT, *"abcdefghijklmnopqrstuvwxyz0123456789"], trainer)
    vocabulary = inner.get_vocab()
    merges = [(left, right) for left, right in _merges(inner)]
    for token in fallback:
        vocabulary.setdefault(token, len(vocabulary))
    inner.model = models.BPE(
        vocab=vocabulary, merges=merges, byte_fallback=True, unk_token="<unk>", fuse_unk=True
    )
    inner.post_processor = processors.TemplateProcessing(
        single=f"{bos} $A", special_tokens=[(bos, vocabulary[bos])]
    )
    return _wrapped(inner, bos, eos, unk="<unk>")


def _merges(inner: Any) -> list[list[str]]:
    import json

    made: list[list[str]] = json.loads(inner.to_str())["model"]["merges"]
    return made


def _wrapped(inner: Any, bos: str | None, eos: str, unk: str | None = None) -> Any:
    from transformers import PreTrainedTokenizerFast

    return PreTrainedTokenizerFast(
        tokenizer_object=inner, bos_token=bos, eos_token=eos, unk_token=unk
    )
