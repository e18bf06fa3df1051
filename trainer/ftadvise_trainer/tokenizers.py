"""Tokenizers made fit for a fine-tune: an end of turn, padding that ends nothing, a template."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftadvise.templates import PLAIN, has_marks, without_marks
from ftadvise_trainer.errors import TrainError
from ftadvise_trainer.remote_code import allowed, asked_for

if TYPE_CHECKING:
    from ftadvise.families import ModelFamily
    from ftadvise_trainer.config import Config

ADDED_PAD = "<|pad|>"
_PROBE = [{"role": "user", "content": "question"}, {"role": "assistant", "content": "answer"}]


def located(config: Config, name: str, key: str) -> str:
    """Return where a model or tokenizer lies, without asking the hub for what names a folder."""
    found = config.find_or_hub(name)
    if found == name and not config.find(name).exists() and name.startswith((".", "/", "~")):
        raise TrainError(
            f"{key}: there is no {name}", hint="Paths are relative to the folder of the YAML."
        )
    return found


def raw_tokenizer(config: Config, remote_code: str | None = None) -> Any:
    """Return the tokenizer as it lies there, or raise `TrainError` (FT501)."""
    from transformers import AutoTokenizer

    auto: Any = AutoTokenizer
    model = config.model
    name = model.tokenizer or model.name_or_path or folder_of(model.config or "")
    place = located(config, name, "model.tokenizer")
    arguments = allowed(config, remote_code)
    if model.tokenizer and model.tokenizer != model.name_or_path:
        arguments = {"trust_remote_code": False}  # code and revision are the model's
    try:
        tokenizer: Any = auto.from_pretrained(place, **arguments)
    except (OSError, ValueError, KeyError, ImportError) as error:
        raise asked_for(error, name) or TrainError(
            f"no tokenizer could be loaded from {name!r}: {first_line(error)}",
            hint="model.tokenizer names a folder or a model on the hub that has one.",
        ) from error
    if not tokenizer.is_fast:
        raise TrainError(
            f"the tokenizer of {name!r} cannot say which characters a token stands for",
            hint="Convert it to a tokenizer.json, which the loss on answers needs.",
        )
    if not tokenizer(
        "a", add_special_tokens=False
    ).input_ids:  # what transformers makes of nothing
        raise TrainError(
            f"no tokenizer could be loaded from {name!r}: it has no vocabulary",
            hint="model.tokenizer names a folder or a model on the hub that has one.",
        )
    return tokenizer


def load_tokenizer(config: Config, family: ModelFamily, *, remote_code: str | None = None) -> Any:
    """Return the tokenizer with the family's end of turn, padding and chat template.

    Its end of sequence becomes the end of turn, which is the token that is trained to stop; its
    padding is never that token, so that no mask of padding can hide it. The chat template has no
    `{% generation %}` marks where they can be left out: not every engine renders them.
    """
    tokenizer = raw_tokenizer(config, remote_code)
    end = family.end_of_turn or own_end_of_turn(tokenizer) or tokenizer.eos_token
    if end is None or end not in tokenizer.get_vocab():
        raise TrainError(
            f"{family.name}: the vocabulary has no {end or 'end of sequence'!r} to end an answer",
            hint="Choose another model.family, or a tokenizer with an end of sequence.",
        )
    tokenizer.eos_token = end
    set_padding(tokenizer, family)
    tokenizer.padding_side = "right"
    template = training_template(tokenizer, family)
    if family.chat_template is not None or not tokenizer.chat_template:
        tokenizer.chat_template = without_marks(template)
    return tokenizer


def set_padding(tokenizer: Any, family: ModelFamily) -> None:
    """Let the tokenizer pad with a token that ends nothing; add one when it has none."""
    vocabulary = tokenizer.get_vocab()
    for token in (*family.pad_tokens, tokenizer.pad_token):
        if token in vocabulary and token not in (tokenizer.eos_token, tokenizer.bos_token):
            tokenizer.pad_token = token
            return
    tokenizer.add_special_tokens({"pad_token": ADDED_PAD})


def training_template(tokenizer: Any, family: ModelFamily) -> str:
    """Return the template to train with: the family's, the tokenizer's own, or the plain one."""
    if family.chat_template is not None:
        return family.chat_template
    if isinstance(tokenizer.chat_template, str) and tokenizer.chat_template:
        return str(tokenizer.chat_template)
    return "{{ bos_token }}" + PLAIN if adds_bos(tokenizer) else PLAIN


def adds_bos(tokenizer: Any) -> bool:
    """Say whether the tokenizer puts a beginning of sequence before a text by itself."""
    if tokenizer.bos_token_id is None:
        return False
    ids: list[int] = tokenizer("a").input_ids
    return bool(ids) and ids[0] == tokenizer.bos_token_id


def own_end_of_turn(tokenizer: Any) -> str | None:
    """Return the special token that the tokenizer's own template puts after an answer."""
    if not isinstance(tokenizer.chat_template, str) or not tokenizer.chat_template:
        return None
    template = tokenizer.chat_template
    plain = without_marks(template) if has_marks(template) else template
    try:
        text = tokenizer.apply_chat_template(_PROBE, chat_template=plain, tokenize=False)
    except Exception as error:  # a template may raise whatever it likes
        raise TrainError(
            f"the tokenizer's chat template fails on a question and its answer: {error}",
            hint="Set model.family to one that fits the model.",
        ) from error
    after = str(text).rpartition("answer")[2]
    tokens = [token for token in tokenizer.all_special_tokens if token in after]
    added = [str(token) for token in tokenizer.get_added_vocab() if str(token) in after]
    return min({*tokens, *added}, key=after.index, default=None)


def folder_of(path: str) -> str:
    """Return the folder of a `config.json`, and any other path as it stands."""
    return str(Path(path).parent) if path.endswith(".json") else path


def first_line(error: BaseException) -> str:
    """Return the first line of what an error says."""
    return (str(error).strip().splitlines() or [type(error).__name__])[0]
