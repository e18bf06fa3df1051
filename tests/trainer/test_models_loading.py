"""Models and tokenizers as the trainer gets them: precision, padding, endings, LoRA, trust."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

import pytest
import torch
from made_tokenizers import bytes_tokenizer

from ftadvise.families import ModelFamily
from ftadvise.templates import has_marks
from ftadvise_plugins.gpt2 import GPT2
from ftadvise_plugins.llama import LLAMA3
from ftadvise_plugins.qwen import QWEN
from ftadvise_trainer.config import Config, LoraSettings, ModelConfig
from ftadvise_trainer.data.chat import Renderer
from ftadvise_trainer.errors import TrainError
from ftadvise_trainer.families import GENERIC
from ftadvise_trainer.models import family_of, load_model, load_tokenizer, notes

TINY = Path(__file__).parent.parent.parent / "examples" / "tiny" / "training.yaml"
SHAPE = {"hidden_size": 16, "intermediate_size": 32, "num_hidden_layers": 1,
         "num_attention_heads": 2, "num_key_value_heads": 2, "max_position_embeddings": 64}  # fmt: skip


def config_for(folder: Path, lora: LoraSettings | None = None, **model: Any) -> Config:
    settings = {"name_or_path": "m"} | model
    return Config(model=ModelConfig(**settings), lora=lora, path=str(folder / "t.yaml"))


def saved(
    folder: Path,
    tokenizer: Any,
    kind: str = "qwen2",
    dtype: torch.dtype = torch.float32,
    **more: Any,
) -> Any:
    """Save a tiny model of that kind and its tokenizer in the folder `m`."""
    from transformers import AutoConfig, AutoModelForCausalLM

    shape = {"n_embd": 16, "n_layer": 1, "n_head": 2} if kind == "gpt2" else SHAPE
    settings = {"bos_token_id": None, "eos_token_id": None, "pad_token_id": None} | more
    shapes: Any = AutoConfig
    config: Any = shapes.for_model(kind, vocab_size=len(tokenizer), **shape, **settings)
    auto: Any = AutoModelForCausalLM
    model = auto.from_config(config).to(dtype)
    model.save_pretrained(folder / "m")
    tokenizer.save_pretrained(folder / "m")
    return model


def qwen_base() -> Any:
    """Return a tokenizer like that of a Qwen base model: it pads with its end of sequence."""
    made = bytes_tokenizer("<|im_start|>", "<|im_end|>", eos="<|endoftext|>")
    made.pad_token = "<|endoftext|>"
    return made


def test_padding_is_never_the_end(tmp_path: Path) -> None:
    saved(tmp_path, qwen_base())
    config = config_for(tmp_path)
    family = family_of(config, [QWEN, GENERIC])
    tokenizer = load_tokenizer(config, family)
    assert family is QWEN
    assert (tokenizer.eos_token, tokenizer.pad_token) == ("<|im_end|>", "<|endoftext|>")
    assert tokenizer.padding_side == "right"


@pytest.mark.parametrize("family", [QWEN, GENERIC], ids=lambda family: family.name)
def test_padding_that_is_the_end_is_replaced(tmp_path: Path, family: ModelFamily) -> None:
    tokenizer = bytes_tokenizer("<|im_start|>", eos="<|im_end|>")
    tokenizer.pad_token = "<|im_end|>"
    saved(tmp_path, tokenizer)
    made = load_tokenizer(config_for(tmp_path), family)
    assert made.eos_token == "<|im_end|>"
    assert made.pad_token == "<|pad|>"


def test_generation_stops_at_the_end_of_turn_and_at_the_other_ends(tmp_path: Path) -> None:
    from transformers import Trainer, TrainingArguments

    saved(tmp_path, qwen_base())
    config = config_for(tmp_path)
    tokenizer = load_tokenizer(config, QWEN)
    model = load_model(config, tokenizer, QWEN)
    ends = [tokenizer.convert_tokens_to_ids(t) for t in ("<|im_end|>", "<|endoftext|>")]
    assert model.generation_config.eos_token_id == ends
    assert model.generation_config.pad_token_id == tokenizer.pad_token_id
    assert model.config.pad_token_id == tokenizer.pad_token_id
    # transformers aligns them again when training starts, and has to find nothing to change.
    arguments = TrainingArguments(str(tmp_path / "out"), report_to=[], use_cpu=True, max_steps=1)
    rows: Any = [{"input_ids": [1, 2], "labels": [1, 2]}]
    trainer: Any = Trainer(model, arguments, train_dataset=rows, processing_class=tokenizer)
    trainer.train()
    assert model.generation_config.eos_token_id == ends
    model.save_pretrained(tmp_path / "final")
    tokenizer.save_pretrained(tmp_path / "final")
    kept = json.loads((tmp_path / "final" / "generation_config.json").read_text())
    assert kept["eos_token_id"] == ends


def test_an_ordinary_word_is_no_stop_token(tmp_path: Path) -> None:
    saved(tmp_path, qwen_base(), eos_token_id=100)
    config = config_for(tmp_path)
    tokenizer = load_tokenizer(config, QWEN)
    assert 100 not in load_model(config, tokenizer, QWEN).generation_config.eos_token_id


def test_the_saved_template_has_no_marks_and_renders_the_same(tmp_path: Path) -> None:
    saved(tmp_path, qwen_base())
    config = config_for(tmp_path)
    tokenizer = load_tokenizer(config, QWEN)
    assert not has_marks(tokenizer.chat_template)
    turns = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]
    text, _ = Renderer(tokenizer, QWEN).chat(turns)
    assert tokenizer.apply_chat_template(turns, tokenize=False) == text


def test_master_weights_are_float32_whatever_was_saved(tmp_path: Path) -> None:
    before = saved(tmp_path, qwen_base(), dtype=torch.bfloat16)
    config = config_for(tmp_path)
    tokenizer = load_tokenizer(config, QWEN)
    model = load_model(config, tokenizer, QWEN)
    assert {weight.dtype for weight in model.parameters()} == {torch.float32}
    for name, weight in before.named_parameters():
        assert torch.equal(model.get_parameter(name), weight.float()), name
    assert any("float32" in note for note in notes(config, tokenizer, QWEN))
    half = config_for(tmp_path, dtype="bfloat16")
    assert load_model(half, tokenizer, QWEN).dtype == torch.bfloat16
    assert any("stochastic rounding" in note for note in notes(half, tokenizer, QWEN))
    lossy = dataclasses.replace(
        half, training=dataclasses.replace(half.training, bf16_updates="nearest")
    )
    assert any("rounded away" in note for note in notes(lossy, tokenizer, QWEN))
    with pytest.raises(TrainError, match=r"model\.dtype"):
        load_model(config_for(tmp_path, dtype="float16"), tokenizer, QWEN)


def test_pickled_weights_are_never_read(tmp_path: Path) -> None:
    model = saved(tmp_path, qwen_base())
    (tmp_path / "m" / "model.safetensors").unlink()
    torch.save(model.state_dict(), tmp_path / "m" / "pytorch_model.bin")
    config = config_for(tmp_path)
    with pytest.raises(TrainError, match="could not be loaded") as caught:
        load_model(config, load_tokenizer(config, QWEN), QWEN)
    assert "safetensors" in caught.value.hint


def test_random_weights_come_from_the_seed_and_leave_other_draws_alone() -> None:
    config = Config(model=ModelConfig(config="model", tokenizer="model"), path=str(TINY))
    tokenizer = load_tokenizer(config, QWEN)
    draws: Any = torch
    draws.manual_seed(7)
    expected = torch.rand(3)
    draws.manual_seed(7)
    first = load_model(config, tokenizer, QWEN).state_dict()
    assert torch.equal(torch.rand(3), expected)
    second = load_model(config, tokenizer, QWEN).state_dict()
    assert all(torch.equal(first[name], second[name]) for name in first)
    training = dataclasses.replace(config.training, seed=43)
    other = load_model(dataclasses.replace(config, training=training), tokenizer, QWEN)
    assert not torch.equal(other.state_dict()["lm_head.weight"], first["lm_head.weight"])


def test_a_pad_token_is_added_where_there_is_none_and_the_embeddings_grow(tmp_path: Path) -> None:
    before = saved(tmp_path, bytes_tokenizer(eos="<|endoftext|>"), "gpt2")
    size = before.get_input_embeddings().num_embeddings
    config = config_for(tmp_path)
    tokenizer = load_tokenizer(config, GPT2)
    assert tokenizer.pad_token_id == size
    model = load_model(config, tokenizer, GPT2)
    table = model.get_input_embeddings().weight
    assert table.shape[0] == model.config.vocab_size == size + 1
    assert torch.equal(table[:size], before.get_input_embeddings().weight)
    assert torch.allclose(table[size], table[:size].mean(dim=0))
    assert any("was added" in note for note in notes(config, tokenizer, GPT2))


@pytest.mark.parametrize(("kind", "family"), [("qwen2", QWEN), ("gpt2", GPT2)])
def test_lora_adapts_the_layers_of_the_family(
    tmp_path: Path, kind: str, family: ModelFamily
) -> None:
    saved(tmp_path, bytes_tokenizer("<|im_end|>", eos="<|endoftext|>"), kind)
    config = config_for(tmp_path, LoraSettings(r=2))
    model = load_model(config, load_tokenizer(config, family), family)
    trained = {name for name, weight in model.named_parameters() if weight.requires_grad}
    assert trained
    assert all("lora_" in name or "token_adapter" in name for name in trained)  # GPT-2 grew
    adapted = {n.split(".lora_")[0].rpartition(".")[2] for n in trained if ".lora_" in n}
    assert adapted == set(family.lora_targets)


def test_lora_takes_every_linear_layer_of_an_unknown_family_and_refuses_unknown_names(
    tmp_path: Path,
) -> None:
    saved(tmp_path, qwen_base())
    config = config_for(tmp_path, LoraSettings(r=2))
    model = load_model(config, load_tokenizer(config, QWEN), GENERIC)
    adapted = {n.split(".lora_")[0].rpartition(".")[2] for n, _ in model.named_parameters()
               if ".lora_" in n}  # fmt: skip
    assert adapted == set(QWEN.lora_targets)
    wrong = config_for(tmp_path, LoraSettings(target_modules=("q_proj", "query")))
    with pytest.raises(TrainError, match="no linear layer called query") as caught:
        load_model(wrong, load_tokenizer(wrong, QWEN), QWEN)
    assert "q_proj" in caught.value.hint


def test_a_family_is_found_by_type_and_can_be_named(tmp_path: Path) -> None:
    saved(tmp_path, qwen_base())
    assert family_of(config_for(tmp_path), [LLAMA3, QWEN, GENERIC]) is QWEN
    assert family_of(config_for(tmp_path, family="generic"), [QWEN, GENERIC]) is GENERIC
    with pytest.raises(TrainError, match="eot_id"):
        load_tokenizer(config_for(tmp_path), LLAMA3)


def test_a_generic_model_keeps_its_own_template_and_end_of_turn(tmp_path: Path) -> None:
    tokenizer = bytes_tokenizer("<turn>", "</turn>", eos="<|endoftext|>")
    own = (
        "{% for m in messages %}{{ '<turn>' + m['role'] + '\n' + m['content'] + '</turn>\n' }}"
        "{% endfor %}{% if add_generation_prompt %}{{ '<turn>assistant\n' }}{% endif %}"
    )
    tokenizer.chat_template = own
    saved(tmp_path, tokenizer, "llama")
    config = config_for(tmp_path)
    made = load_tokenizer(config, GENERIC)
    assert made.chat_template == own
    assert made.eos_token == "</turn>"
    turns = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]
    text, spans = Renderer(made, GENERIC).chat(turns)
    assert [text[start:end] for start, end in spans] == ["a</turn>"]


def test_a_generic_model_without_a_template_gets_a_plain_one(tmp_path: Path) -> None:
    saved(tmp_path, bytes_tokenizer(bos="<s>", eos="</s>"), "llama")
    made = load_tokenizer(config_for(tmp_path), GENERIC)
    text, spans = Renderer(made, GENERIC).chat(
        [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]
    )
    assert text.startswith("<s>### User:\nq")
    assert [text[start:end] for start, end in spans] == ["a</s>"]


def test_code_in_a_model_folder_never_runs(tmp_path: Path) -> None:
    saved(tmp_path, qwen_base())
    path = tmp_path / "m" / "config.json"
    settings = json.loads(path.read_text())
    settings |= {
        "model_type": "evil",
        "trust_remote_code": True,
        "auto_map": {"AutoConfig": "evil.Evil", "AutoModelForCausalLM": "evil.Evil"},
    }
    path.write_text(json.dumps(settings))
    (tmp_path / "m" / "evil.py").write_text(
        f"open({str(tmp_path / 'ran')!r}, 'w')\nclass Evil: pass\n"
    )
    with pytest.raises(TrainError, match="brings code of its own"):
        family_of(config_for(tmp_path), [QWEN, GENERIC])
    with pytest.raises(TrainError, match="brings code of its own"):
        load_model(config_for(tmp_path), qwen_base(), QWEN)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("model", "said"),
    [
        ({"name_or_path": ""}, "no model is named"),
        ({"name_or_path": "./gone"}, r"model\.name_or_path: there is no \./gone"),
        ({"config": "gone", "tokenizer": "m"}, r"model\.config: there is no .*gone"),
        ({"config": "here", "name_or_path": ""}, "no tokenizer could be loaded from 'here'"),
    ],
)
def test_a_model_that_is_not_there_is_named(tmp_path: Path, model: Any, said: str) -> None:
    (tmp_path / "here").mkdir()
    (tmp_path / "here" / "config.json").write_text('{"model_type": "gpt2"}')
    with pytest.raises(TrainError, match=said) as caught:
        family_of(config_for(tmp_path, **model), [QWEN, GENERIC])
    assert caught.value.code == "FT501"


def test_the_tiny_example_loads_and_its_files_are_those_of_its_script() -> None:
    config = Config(model=ModelConfig(config="model", tokenizer="model"), path=str(TINY))
    family = family_of(config, [LLAMA3, QWEN, GENERIC])
    tokenizer = load_tokenizer(config, family)
    model = load_model(config, tokenizer, family)
    assert family is QWEN
    assert model.get_input_embeddings().num_embeddings == len(tokenizer)
    assert sum(weight.numel() for weight in model.parameters()) < 1_000_000
    assert sum(path.stat().st_size for path in TINY.parent.rglob("*.json")) < 100_000
