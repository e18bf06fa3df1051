"""The readers of text logs, one for each tool and one for free text.

Their modules are imported when a file may be theirs: most logs are JSON or tables, and need none
of their patterns.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Protocol, cast

from ftadvise.readers.files.lines import may_be_log
from ftadvise.readers.source import Reader

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from ftadvise.readers.source import Source
    from ftadvise.run import Run

_DESCRIPTIONS = {
    "nanogpt": "console logs of nanoGPT, log files of build-nanogpt",
    "nanochat": "console logs of nanochat",
    "llm_c": "console logs and main.log of llm.c",
    "modded_nanogpt": "logs of modded-nanogpt",
    "megatron": "console logs of Megatron-LM, Megatron-DeepSpeed and GPT-NeoX",
    "nemo": "console logs of NeMo 2",
    "torchtune": "log files and console logs of torchtune",
    "torchtitan": "console logs of torchtitan",
    "mlx_lm": "console logs of mlx-lm",
    "fairseq": "console logs of fairseq, text or JSON",
    "deepspeed": "console logs of DeepSpeed's pipeline engine and DeepSpeed-Chat",
    "litgpt": "console logs of LitGPT",
    "text_log": "losses in free text, as training scripts print them",
}


class _ReaderModule(Protocol):
    def sniff(self, source: Source) -> float: ...

    def read(self, source: Source) -> list[Run]: ...


def _module(name: str) -> _ReaderModule:
    return cast("_ReaderModule", importlib.import_module(f"ftadvise.readers.text_logs.{name}"))


def _sniff(name: str) -> Callable[[Source], float]:
    def sniff(source: Source) -> float:
        return _module(name).sniff(source) if may_be_log(source) else 0.0

    return sniff


def _read(name: str) -> Callable[[Source], list[Run]]:
    return lambda source: _module(name).read(source)


def _sniff_allennlp(source: Source) -> float:
    if b'"training_epochs"' not in source.head:
        return 0.0
    return _module("allennlp").sniff(source)


def _gather_allennlp(path: Path) -> Sequence[Path]:
    from ftadvise.readers.text_logs.allennlp import gather

    return gather(path)


READERS = [
    *(
        Reader(name, description, _sniff(name), _read(name))
        for name, description in _DESCRIPTIONS.items()
    ),
    Reader(
        "allennlp",
        "metrics_epoch_N.json of AllenNLP, one file or a folder of them",
        _sniff_allennlp,
        _read("allennlp"),
        _gather_allennlp,
    ),
]
