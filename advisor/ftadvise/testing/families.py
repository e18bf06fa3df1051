"""The promises of a model family: its template, its end of turn, its padding and its recipe."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ftadvise.families import RECIPE_KEYS, ModelFamily
from ftadvise.templates import answers, with_visible_marks, without_marks
from ftadvise.testing.promises import require, require_name, require_type

if TYPE_CHECKING:
    from collections.abc import Callable

    from ftadvise.families import Recipe


def check_family(family: ModelFamily, tokenizer: Any = None) -> None:
    """Check that `family` keeps the promises that a fine-tune relies on.

    Its template must render conversations with and without a system message, mark every answer
    together with its end of turn and nothing else, and ask for an answer exactly as it later
    writes one. Padding must end nothing, and every default must say where it comes from.

    Args:
        family: The family to check.
        tokenizer: A tokenizer of such a model; the template is then checked in its tokens too.

    Raises:
        AssertionError: The family breaks a promise.
    """
    require_type(family, ModelFamily, "register_model_families")
    what = require_name(family.name, "family")
    require(bool(family.model_types), f"{what}: no model_types, so that it would match nothing")
    require(all(h == h.lower() for h in family.name_hints), f"{what}: name_hints are lower case")
    _check_recipe(family.defaults, family.default_sources, f"{what}: defaults")
    _check_recipe(family.lora_defaults, family.lora_default_sources, f"{what}: lora_defaults")
    require(family.end_of_turn not in family.pad_tokens, f"{what}: pads with its end of turn")
    if family.chat_template is not None:
        end = family.end_of_turn or "</s>"
        for turns in _CONVERSATIONS:
            _check_template(family.chat_template, end, turns, what)
    if tokenizer is not None:
        _check_tokens(family, tokenizer, what)


def _check_recipe(settings: Recipe, sources: dict[str, str], what: str) -> None:
    unsaid = settings.keys() ^ {key for key, source in sources.items() if source}
    require(not unsaid, f"{what}: no source, or no default, for {', '.join(sorted(unsaid))}")
    odd = sorted(settings.keys() - set(RECIPE_KEYS))
    require(not odd, f"{what}: {', '.join(odd)} is none of {', '.join(RECIPE_KEYS)}")
    for key, value in settings.items():
        number = isinstance(value, int | float) and not isinstance(value, bool)
        require(number == (key != "lr_scheduler_type"), f"{what}: {key} is {value!r}")


def _conversation(*turns: str) -> list[dict[str, str]]:
    words = {"system": "be brief", "user": "question {}", "assistant": "answer {}"}
    return [{"role": r, "content": words[r].format(n)} for n, r in enumerate(turns)]


_CONVERSATIONS = (
    _conversation("user", "assistant"),
    _conversation("system", "user", "assistant", "user", "assistant"),
)


def _renderer(end: str) -> Callable[..., str]:
    """Return what renders a template the way transformers does."""
    from jinja2.sandbox import ImmutableSandboxedEnvironment

    jinja = ImmutableSandboxedEnvironment(trim_blocks=True, lstrip_blocks=True)
    tokens = {"bos_token": "<s>", "eos_token": end, "unk_token": "<unk>", "pad_token": "<pad>"}

    def render(template: str, turns: list[dict[str, str]], *, prompt: bool = False) -> str:
        made = jinja.from_string(template)
        return made.render(messages=turns, add_generation_prompt=prompt, **tokens)

    return render


def _check_template(template: str, end: str, turns: list[dict[str, str]], what: str) -> None:
    render = _renderer(end)
    try:
        text, spans = answers(render(with_visible_marks(template), turns))
        plain = render(without_marks(template), turns)
        prompts = [
            render(without_marks(template), turns[:number], prompt=True)
            for number, turn in enumerate(turns)
            if turn["role"] == "assistant"
        ]
    except Exception as error:
        raise AssertionError(f"{what}: the template fails: {error}") from error
    require(text == plain, f"{what}: the template renders otherwise without its marks")
    for turn in turns:
        require(turn["content"] in text, f"{what}: the template leaves out {turn['content']!r}")
    _check_parts([text[start:stop] for start, stop in spans], turns, end, what)
    for (start, _), prompt in zip(spans, prompts, strict=True):
        require(
            text[:start] == prompt,
            f"{what}: asks with {prompt[-40:]!r}, writes {text[max(0, start - 40) : start]!r}",
        )


def _check_parts(parts: list[str], turns: list[dict[str, str]], end: str, what: str) -> None:
    wanted = [turn["content"] for turn in turns if turn["role"] == "assistant"]
    require(
        [part.split() for part in parts]
        in ([[*(w + e).split()] for w in wanted] for e in (end, f" {end}")),
        f"{what}: marks {parts}, not each of {wanted} with its end of turn {end}",
    )


def _check_tokens(family: ModelFamily, tokenizer: Any, what: str) -> None:
    end = family.end_of_turn or tokenizer.eos_token
    require(end in tokenizer.get_vocab(), f"{what}: the vocabulary has no {end}")
    require(len(tokenizer(end, add_special_tokens=False).input_ids) == 1, f"{what}: {end} splits")
    for turns in _CONVERSATIONS if family.chat_template else ():
        marked = with_visible_marks(str(family.chat_template))
        rendered = tokenizer.apply_chat_template(turns, chat_template=marked, tokenize=False)
        text, spans = answers(rendered)
        encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        ids, ends = encoded["input_ids"], [end for _, end in encoded["offset_mapping"]]
        require(ids[:2] != [tokenizer.bos_token_id] * 2, f"{what}: two beginnings of sequence")
        parts = [
            tokenizer.decode([i for i, e in zip(ids, ends, strict=True) if start < e <= stop])
            for start, stop in spans
        ]
        _check_parts(parts, turns, end, what)
