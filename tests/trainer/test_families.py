"""Model families: their templates, and which one a model belongs to."""

from __future__ import annotations

import dataclasses
import importlib
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest
from made_tokenizers import bytes_tokenizer, pieces_tokenizer

from ftadvise.errors import FtadviseError
from ftadvise.families import RECIPE_KEYS, ModelFamily
from ftadvise.templates import CHATML, answers, with_visible_marks, without_marks
from ftadvise.testing import check_family
from ftadvise_trainer.data.chat import Renderer
from ftadvise_trainer.data.records import Example
from ftadvise_trainer.families import GENERIC, choose, named

ROOT = Path(__file__).parent.parent.parent
MODULES = ("qwen", "llama", "mistral", "gemma", "phi", "smollm", "gpt2")
FAMILIES: dict[str, ModelFamily] = {
    family.name: family
    for module in MODULES
    for family in importlib.import_module(f"ftadvise_plugins.{module}").register_model_families()
}
QWEN = FAMILIES["qwen"]
CHAT = (
    {"role": "system", "content": "be brief"},
    {"role": "user", "content": "What is 7 × 6? 🙂"},
    {"role": "assistant", "content": "It is 42.\n\nReally 🙂"},
    {"role": "user", "content": "And Paris?"},
    {"role": "assistant", "content": "The capital of France."},
)


def tokenizer_for(family: ModelFamily, kind: str) -> Any:
    tokens = [family.end_of_turn or "</s>", *family.pad_tokens, *family.stop_tokens]
    marks = ("<|im_start|>", "<|im_sep|>", "<start_of_turn>", "<|start_header_id|>")
    if kind == "pieces":
        made = pieces_tokenizer(*tokens, *marks)
    else:
        made = bytes_tokenizer("<s>", *tokens, *marks, trim=kind == "trimmed")
        made.bos_token = "<s>"
    made.eos_token = family.end_of_turn
    return made


@pytest.mark.parametrize("kind", ["bytes", "trimmed", "pieces"])
@pytest.mark.parametrize("name", FAMILIES)
def test_every_family_keeps_the_contract(name: str, kind: str) -> None:
    check_family(FAMILIES[name], tokenizer_for(FAMILIES[name], kind))


@pytest.mark.parametrize("kind", ["bytes", "trimmed", "pieces"])
@pytest.mark.parametrize("name", FAMILIES)
def test_the_trained_tokens_are_the_answers_and_their_ends(name: str, kind: str) -> None:
    family = FAMILIES[name]
    tokenizer = tokenizer_for(family, kind)
    ((ids, trained),) = Renderer(tokenizer, family).encode([Example("", CHAT)])
    answers = tokenizer.decode([i for i, mark in zip(ids, trained, strict=True) if mark])
    end = str(family.end_of_turn)
    said = [part.strip() for part in answers.split(end)]
    assert said == ["It is 42.\n\nReally 🙂", "The capital of France.", ""]
    rest = tokenizer.decode([i for i, mark in zip(ids, trained, strict=True) if not mark])
    assert "42" not in rest
    assert "🙂" in rest  # that of the question


@pytest.mark.parametrize("name", FAMILIES)
def test_a_template_without_marks_gives_the_same_mask_turn_by_turn(name: str) -> None:
    family = FAMILIES[name]
    tokenizer = tokenizer_for(family, "bytes")
    plain = dataclasses.replace(family, chat_template=without_marks(str(family.chat_template)))
    for messages in (CHAT, CHAT[1:3]):
        marked, by_turns = (Renderer(tokenizer, each).chat(messages) for each in (family, plain))
        assert marked == by_turns


@pytest.mark.parametrize("name", FAMILIES)
def test_the_mask_is_that_of_transformers(name: str) -> None:
    family = FAMILIES[name]
    tokenizer = tokenizer_for(family, "bytes")
    theirs = tokenizer.apply_chat_template(
        list(CHAT),
        chat_template=family.chat_template,
        return_dict=True,
        return_assistant_tokens_mask=True,
    )
    ((ids, trained),) = Renderer(tokenizer, family).encode([Example("", CHAT)])
    assert ids == theirs["input_ids"]
    assert trained.astype(int).tolist() == theirs["assistant_masks"]


@pytest.mark.parametrize("left", ["{%", "{%-", "  {%", "\n{%", "x {%"])
@pytest.mark.parametrize("right", ["%}", "-%}", "%}\n", "%}  ", "%} x"])
def test_marks_can_be_taken_out_wherever_they_stand(left: str, right: str) -> None:
    template = (
        "{% for m in messages %}{{ m['role'] }} "
        f"{left} generation {right}{{{{ m['content'] }}}}{left} endgeneration {right} \n"
        "{% endfor %}"
    )
    tokenizer = bytes_tokenizer()
    turns = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]
    theirs = tokenizer.apply_chat_template(turns, chat_template=template, tokenize=False)
    for ours in (without_marks(template), with_visible_marks(template)):
        text = tokenizer.apply_chat_template(turns, chat_template=ours, tokenize=False)
        assert answers(text)[0] == theirs


BROKEN: dict[str, dict[str, Any]] = {
    "the end of turn is not marked": {
        "chat_template": CHATML.replace(" + '<|im_end|>' }}{% endg", " }}{% endg").replace(
            "{% endgeneration %}", "{% endgeneration %}{{ '<|im_end|>' }}"
        )
    },
    "the role is marked": {
        "chat_template": CHATML.replace("{% generation %}", "").replace(
            "{{ '<|im_start|>'", "{% generation %}{{ '<|im_start|>'", 1
        )
    },
    "nothing is marked": {"chat_template": without_marks(CHATML)},
    "the prompt is another": {"chat_template": CHATML.replace("assistant\n' }}", "bot\n' }}")},
    "a message is left out": {"chat_template": CHATML.replace("for message in messages", "for message in messages[-2:]")},
    "the template is broken": {"chat_template": CHATML + "{% endif %}"},
    "it pads with its end": {"pad_tokens": ("<|im_end|>",)},
    "a default has no source": {"default_sources": {}},
    "a default for LoRA has no source": {"lora_default_sources": {}},
    "a default is no part of a recipe": {"defaults": {"seed": 1}, "default_sources": {"seed": "s"}},
    "a default is a text": {"defaults": {"learning_rate": "1e-5"}, "default_sources": {"learning_rate": "s"}},
    "a default is a number": {"defaults": {"lr_scheduler_type": 1}, "default_sources": {"lr_scheduler_type": "s"}},
    "a default comes from nowhere": {"defaults": {"learning_rate": 1e-5}, "default_sources": {"learning_rate": ""}},
    "no type": {"model_types": ()},
    "upper case": {"name": "Qwen"},
}  # fmt: skip


@pytest.mark.parametrize("what", BROKEN)
def test_a_family_that_breaks_a_promise_is_refused(what: str) -> None:
    with pytest.raises(AssertionError):
        check_family(dataclasses.replace(QWEN, **BROKEN[what]))


def test_an_end_of_turn_that_the_vocabulary_lacks_is_refused() -> None:
    with pytest.raises(AssertionError, match="im_end"):
        check_family(QWEN, bytes_tokenizer())


def chosen(model_type: str, name: str, tokenizer: Any) -> str:
    return choose(model_type, name, tokenizer, [*FAMILIES.values(), GENERIC]).name


def test_a_family_is_chosen_by_type_name_and_tokens() -> None:
    chatml = bytes_tokenizer("<|im_end|>")
    headers = bytes_tokenizer("<|eot_id|>")
    pieces = pieces_tokenizer("<|end|>")
    assert chosen("qwen2", "Qwen/Qwen2.5-7B", chatml) == "qwen"
    assert chosen("qwen3", "mine", chatml) == "qwen"
    assert chosen("llama", "meta-llama/Llama-3.1-8B", headers) == "llama3"
    assert chosen("llama", "meta-llama/Llama-2-7b-hf", pieces) == "llama2"
    assert chosen("llama", "models/Alpaca-7B", pieces) == "alpaca"
    assert chosen("llama", "HuggingFaceTB/SmolLM2-135M", chatml) == "smollm"
    assert chosen("mistral", "mistralai/Mistral-7B-v0.1", pieces) == "mistral"
    assert chosen("gemma3_text", "g", bytes_tokenizer("<end_of_turn>")) == "gemma"
    assert chosen("phi3", "Phi-3-mini", pieces) == "phi3"
    assert chosen("phi3", "microsoft/phi-4", chatml) == "phi4"
    assert chosen("phi3", "microsoft/Phi-4-mini-instruct", pieces) == "phi4-mini"
    assert chosen("gpt2", "gpt2", bytes_tokenizer()) == "gpt2"


def test_a_model_of_no_known_kind_is_generic() -> None:
    assert chosen("mamba", "m", bytes_tokenizer()) == "generic"
    assert chosen("qwen2", "no end of turn", bytes_tokenizer()) == "generic"


def test_a_model_that_was_taught_another_format_keeps_it() -> None:
    zephyr = pieces_tokenizer()
    zephyr.chat_template = (
        "{% for m in messages %}{{ '<|' + m['role'] + '|>\n' + m['content'] + eos_token + '\n' }}"
        "{% endfor %}{% if add_generation_prompt %}{{ '<|assistant|>\n' }}{% endif %}"
    )
    assert chosen("mistral", "HuggingFaceH4/zephyr-7b-beta", zephyr) == "generic"
    mistral = pieces_tokenizer()
    mistral.chat_template = without_marks(str(FAMILIES["mistral"].chat_template))
    assert chosen("mistral", "m", mistral) == "mistral"
    text, spans = Renderer(zephyr, GENERIC).chat(CHAT)
    assert text[slice(*spans[1])] == "The capital of France.</s>"


def test_an_unknown_name_is_refused_with_the_closest_one() -> None:
    with pytest.raises(FtadviseError) as caught:
        named("qwem", [QWEN, GENERIC])
    assert caught.value.code == "FT501"
    assert "Did you mean qwen?" in caught.value.hint


def test_alpaca_asks_in_the_words_it_was_trained_with() -> None:
    family = FAMILIES["alpaca"]
    tokenizer = tokenizer_for(family, "pieces")
    question = {"role": "user", "content": "Add.\n\n1 2", "instruction": "Add.", "input": "1 2"}
    text, _ = Renderer(tokenizer, family).chat([question, {"role": "assistant", "content": "3"}])
    assert text == (
        "<s>Below is an instruction that describes a task, paired with an input that provides "
        "further context. Write a response that appropriately completes the request.\n\n"
        "### Instruction:\nAdd.\n\n### Input:\n1 2\n\n### Response:\n3</s>\n\n"
    )


@pytest.mark.parametrize("name", FAMILIES)
def test_every_default_is_a_setting_of_the_trainer(name: str) -> None:
    from ftadvise_trainer.config import TrainingConfig

    known = {setting.name for setting in dataclasses.fields(TrainingConfig)}
    assert known.issuperset(RECIPE_KEYS)
    check_family(FAMILIES[name])  # which says that no default is outside of these


USES_IT = """
import sys
from pathlib import Path
import ftadvise_tinyfamily
from made_tokenizers import bytes_tokenizer
from transformers import GPTNeoConfig
from ftadvise.testing import check_family
from ftadvise_trainer.config import Config, ModelConfig
from ftadvise_trainer.models import family_of

assert Path(ftadvise_tinyfamily.__file__).parent == Path(sys.argv[1])
tokenizer = bytes_tokenizer(eos="<|endoftext|>")
check_family(ftadvise_tinyfamily.TINY_STORIES, tokenizer)
GPTNeoConfig().save_pretrained("model")
tokenizer.save_pretrained("model")
print(family_of(Config(model=ModelConfig(name_or_path="model"), path="t.yaml")).name)
"""


@pytest.mark.system
def test_a_third_party_adds_a_family_in_two_files(tmp_path: Path) -> None:
    example = ROOT / "examples" / "ftadvise-tinyfamily"
    files = [path.name for path in example.iterdir() if path.suffix in (".py", ".toml")]
    assert sorted(files) == ["ftadvise_tinyfamily.py", "pyproject.toml"]
    site = tmp_path / "site"
    known = {**os.environ, "PYTHONPATH": os.pathsep.join([str(site), str(ROOT / "tests")])}
    known.pop("FTADVISE_NO_PLUGINS", None)

    def python(*arguments: str) -> str:
        command = [sys.executable, *arguments]
        done = subprocess.run(
            command, env=known, cwd=tmp_path, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    pip = ("-m", "pip", "install", "--quiet", "--no-deps", "--no-build-isolation")
    python(*pip, "--target", str(site), str(example))
    plugins = json.loads(python("-m", "ftadvise", "plugins", "--format", "json"))["plugins"]
    (found,) = [plugin for plugin in plugins if plugin["name"] == "tinyfamily"]
    assert (found["version"], found["error"]) == ("1.0.0", "")
    assert found["hooks"] == ["register_model_families"]
    assert python("-c", USES_IT, str(site)) == "tinystories\n"
