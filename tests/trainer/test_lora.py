"""LoRA from the YAML to `final`, on a vocabulary that had to grow."""

from __future__ import annotations

import io
import json
import math
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from made_tokenizers import bytes_tokenizer

from ftadvise_trainer.config import Config
from ftadvise_trainer.data.prepare import prepare
from ftadvise_trainer.models import family_of
from ftadvise_trainer.settings.file import load_config
from ftadvise_trainer.tokenizers import ADDED_PAD, load_tokenizer
from ftadvise_trainer.training import train

CALL = "<|call|>"
KINDS = ("tied", "untied", "gpt2")
# peft saves the tables whole as well when the vocabulary has grown, and says so at each save.
pytestmark = [
    pytest.mark.filterwarnings("ignore:Setting `save_embedding_layers`:UserWarning"),
    pytest.mark.filterwarnings("ignore:`is_gradient_checkpointing`:FutureWarning"),
]


def base(folder: Path, kind: str, words: int) -> None:
    """Save a small model of `words` tokens with random weights."""
    from transformers import GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    if kind == "gpt2":
        small = GPT2Config(vocab_size=words, n_embd=16, n_layer=1, n_head=2, n_positions=128)
        GPT2LMHeadModel(small).save_pretrained(folder)
        return
    llama: Any = LlamaConfig(
        vocab_size=words,
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=1,
        num_attention_heads=2,
        tie_word_embeddings=kind == "tied",
    )
    LlamaForCausalLM(llama).save_pretrained(folder)


def grown(folder: Path, kind: str, merge: bool) -> Config:
    """Return a run with LoRA whose tokenizer has a token that the model lacks, and no padding."""
    words = len(bytes_tokenizer())
    base(folder / "base", kind, words)
    tokenizer = bytes_tokenizer()
    tokenizer.add_special_tokens({"additional_special_tokens": [CALL]})
    assert len(tokenizer) == words + 1
    tokenizer.save_pretrained(folder / "base")
    rows = [{"prompt": f"What is {n}?", "completion": f"{CALL} {n}"} for n in range(24)]
    for name, part in (("train", rows[:16]), ("eval", rows[16:])):
        (folder / f"{name}.jsonl").write_text("\n".join(json.dumps(row) for row in part))
    (folder / "t.yaml").write_text(
        "model: {name_or_path: base}\n"
        "data: {train: train.jsonl, eval: eval.jsonl, max_length: 64}\n"
        f"lora: {{r: 4, merge: {str(merge).lower()}}}\n"
        "training: {num_train_epochs: 2, learning_rate: 2.0e-2, warmup_ratio: 0.0,\n"
        f"  output_dir: '{folder / 'out'}'}}\n"
    )
    return load_config(folder / "t.yaml")


def mean_loss(model: Any, rows: Any) -> float:
    """Return the loss over all trained tokens, worked out without any of our trainer."""
    total, count = 0.0, 0
    model.eval()
    for number in range(len(rows)):
        ids = torch.tensor([rows[number]["input_ids"]])
        labels = torch.tensor(rows[number]["labels"])[1:]
        with torch.no_grad():
            logits = model(input_ids=ids).logits[0, :-1].float()
        total += float(torch.nn.functional.cross_entropy(logits, labels, reduction="sum"))
        count += int((labels != -100).sum())
    return total / count


def loaded(final: Path, merge: bool) -> Any:
    """Return the model as somebody without ftadvise loads it."""
    from peft import AutoPeftModelForCausalLM
    from transformers import AutoModelForCausalLM

    auto: Any = AutoModelForCausalLM if merge else AutoPeftModelForCausalLM
    return auto.from_pretrained(str(final))


@pytest.mark.parametrize("merge", [False, True], ids=["adapter", "merged"])
@pytest.mark.parametrize("kind", KINDS)
def test_the_final_of_a_grown_vocabulary_loads_anywhere_and_gives_the_recorded_loss(
    tmp_path: Path, kind: str, merge: bool, monkeypatch: pytest.MonkeyPatch
) -> None:
    grown(tmp_path, kind, merge)
    monkeypatch.chdir(tmp_path)
    config = load_config("t.yaml")
    said = io.StringIO()
    outcome = train(config, stream=said)
    final = tmp_path / "out" / "final"
    assert outcome.best is not None
    assert f"{ADDED_PAD} was added" in said.getvalue()
    assert (final / "adapter_config.json").exists() is not merge

    family = family_of(config)
    rows = prepare(config, load_tokenizer(config, family), family).eval
    monkeypatch.chdir(final)  # an adapter names its base, which must be found from anywhere
    torch.manual_seed(3)  # peft draws rows for new tokens, which the adapter has to replace
    model = loaded(final, merge)
    assert math.isclose(mean_loss(model, rows), outcome.best["eval_loss"], rel_tol=1e-5)

    from transformers import AutoTokenizer

    auto: Any = AutoTokenizer
    tokenizer = auto.from_pretrained(str(final))
    assert len(tokenizer) == model.get_input_embeddings().weight.shape[0]
    assert tokenizer.pad_token == ADDED_PAD


@pytest.mark.parametrize("kind", KINDS)
def test_the_rows_of_new_tokens_are_trained_and_those_of_the_others_are_not(
    tmp_path: Path, kind: str
) -> None:
    config = grown(tmp_path, kind, merge=True)
    train(config, stream=io.StringIO())
    model = loaded(tmp_path / "out" / "final", merge=True)
    before = loaded(tmp_path / "base", merge=True)
    words = before.get_input_embeddings().weight.shape[0]
    for table in ("get_input_embeddings", "get_output_embeddings"):
        new, old = (getattr(each, table)().weight.detach() for each in (model, before))
        assert torch.equal(new[:words], old)
        assert not torch.allclose(new[words], old.mean(dim=0), atol=1e-3)
    tied = model.get_input_embeddings().weight is model.get_output_embeddings().weight
    assert tied is (kind != "untied")


@pytest.mark.parametrize("kind", KINDS)
def test_a_resumed_adapter_of_a_grown_vocabulary_ends_as_if_nothing_had_happened(
    tmp_path: Path, kind: str
) -> None:
    config = grown(tmp_path, kind, merge=False)
    whole = train(config, stream=io.StringIO()).best
    shutil.rmtree(tmp_path / "out" / "checkpoint-8")
    shutil.rmtree(tmp_path / "out" / "final")
    said = io.StringIO()
    assert train(config, stream=said).best == whole
    assert "going on from checkpoint-4" in said.getvalue()
