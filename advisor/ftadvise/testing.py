"""Conformance checks for plugin authors.

    from ftadvise.testing import check_family, check_reader

    def test_my_reader_keeps_the_contract():
        check_reader(my_reader, good_paths=["examples/log.tsv"])

    def test_my_family_keeps_the_contract():
        check_family(my_family, AutoTokenizer.from_pretrained("my/model"))

Each check raises `AssertionError` with a message that says which promise is broken and where.
"""

from __future__ import annotations

import os
import random
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, cast

import numpy as np

from ftadvise.errors import LogError
from ftadvise.readers.source import Reader, Source
from ftadvise.run import LearningRates, Run, Series
from ftadvise.templates import answers, with_visible_marks, without_marks

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ftadvise.families import ModelFamily

_StrPath = str | os.PathLike[str]

_RANDOM_FILES = 20
_CUTS = 12


def check_reader(
    reader: Reader, good_paths: Iterable[_StrPath], bad_paths: Iterable[_StrPath] = ()
) -> None:
    """Check that `reader` keeps the promises that ftadvise relies on.

    Good files must be sniffed above zero and give runs of the right types. Bad files, the good
    ones cut off anywhere and random bytes must give runs or a `LogError`, and `sniff` must answer
    with a number from 0 to 1 for all of them.

    Args:
        reader: The reader to check.
        good_paths: Files in its format, at least one.
        bad_paths: Files that it must refuse with a `LogError`.

    Raises:
        AssertionError: The reader breaks a promise.
    """
    _require(bool(reader.name) and reader.name == reader.name.lower(), "the name is lower case")
    _require(bool(reader.description), "the description says what it reads")
    good = [Path(path) for path in good_paths]
    _require(bool(good), "at least one good path is needed")
    for path in good:
        source = Source(path)
        _require(_sniffed(reader, source, str(path)) > 0, f"{path}: sniff does not know it")
        runs = _runs(reader, source, str(path))
        _require(bool(runs), f"{path}: refused, though it is a good file")
        for run in runs:
            _check_run(run, str(path))
    for path in map(Path, bad_paths):
        try:
            source = Source(path)
        except LogError:
            continue
        _sniffed(reader, source, str(path))
        _require(not _runs(reader, source, str(path)), f"{path}: read, though it is a bad file")
    with tempfile.TemporaryDirectory() as folder:
        for name, content in _garbage(good):
            _check_garbage(reader, Path(folder) / "log", name, content)


def _garbage(good: list[Path]) -> Iterable[tuple[str, bytes]]:
    chance = random.Random(0)
    for path in good:
        whole = path.read_bytes()
        for part in range(1, _CUTS):
            cut = len(whole) * part // _CUTS
            yield f"{path} cut off after {cut} bytes", whole[:cut]
        broken = bytearray(whole)
        for _ in range(max(1, len(whole) // 50)):
            broken[chance.randrange(len(broken))] = chance.randrange(256)
        yield f"{path} with random bytes in it", bytes(broken)
    for number in range(_RANDOM_FILES):
        yield f"random bytes ({number})", chance.randbytes(chance.randrange(1, 4096))


def _check_garbage(reader: Reader, path: Path, name: str, content: bytes) -> None:
    path.write_bytes(content)
    try:
        source = Source(path)
    except LogError:  # empty: refused before any reader sees it
        return
    _sniffed(reader, source, name)
    for run in _runs(reader, source, name):
        _check_run(run, name)


def _sniffed(reader: Reader, source: Source, name: str) -> float:
    try:
        sureness: Any = reader.sniff(source)
    except Exception as error:
        raise AssertionError(f"{name}: sniff raised {type(error).__name__}: {error}") from error
    _require(
        isinstance(sureness, int | float) and 0 <= sureness <= 1,
        f"{name}: sniff returned {sureness!r}, not a number from 0 to 1",
    )
    return float(sureness)


def _runs(reader: Reader, source: Source, name: str) -> list[Run]:
    """Return what the reader reads, an empty list for a `LogError`."""
    try:
        runs: Any = reader.read(source)
    except LogError as error:
        _require(bool(error.message), f"{name}: a LogError without a message")
        return []
    except Exception as error:
        raise AssertionError(
            f"{name}: read raised {type(error).__name__}, not LogError: {error}"
        ) from error
    _require(isinstance(runs, list), f"{name}: read returned {type(runs).__name__}, not a list")
    _require(bool(runs), f"{name}: read returned no run; raise LogError where there is none")
    for run in cast("list[object]", runs):
        _require(isinstance(run, Run), f"{name}: read returned a {type(run).__name__}, not a Run")
    return cast("list[Run]", runs)


def _check_run(run: Run, name: str) -> None:
    _require(len(run.train) + len(run.eval) > 0, f"{name}: a run without any loss")
    for what, series in (("train", run.train), ("eval", run.eval)):
        where = f"{name}: run.{what}"
        _check_arrays({"step": series.step, "epoch": series.epoch, "loss": series.loss}, where)
        _check_key(series, where)
        _require(not np.isinf(series.loss).any(), f"{where}.loss holds infinities, not NaN")
    where = f"{name}: run.lr"
    _check_arrays({"step": run.lr.step, "epoch": run.lr.epoch, "rate": run.lr.rate}, where)
    _check_key(run.lr, where)
    _require(run.restarts >= 0, f"{name}: run.restarts is negative")
    _require(all(count > 0 for count in run.nonfinite.values()), f"{name}: a zero in nonfinite")
    for plan in (run.planned_epochs, run.planned_steps):
        _require(plan is None or (np.isfinite(plan) and plan > 0), f"{name}: a plan of {plan!r}")


def _check_arrays(arrays: dict[str, Any], where: str) -> None:
    sizes = {label: array.size for label, array in arrays.items()}
    _require(len(set(sizes.values())) == 1, f"{where}: arrays of different lengths: {sizes}")
    for label, array in arrays.items():
        _require(
            array.ndim == 1 and array.dtype == np.float64,
            f"{where}.{label} is {array.dtype} with {array.ndim} dimensions, not float64 with 1",
        )
        if label in ("step", "epoch"):
            known = array[np.isfinite(array)]
            _require(not np.isinf(array).any(), f"{where}.{label} holds infinities")
            _require(bool((np.diff(known) >= 0).all()), f"{where}.{label} goes back")


def _check_key(series: Series | LearningRates, where: str) -> None:
    if len(series):
        _require(isinstance(series.key, str) and bool(series.key), f"{where}.key is not its name")


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
    what = family.name or "the family"
    _require(bool(family.name) and family.name == family.name.lower(), "the name is lower case")
    _require(bool(family.model_types), f"{what}: no model_types, so that it would match nothing")
    _require(all(h == h.lower() for h in family.name_hints), f"{what}: name_hints are lower case")
    unsaid = family.defaults.keys() ^ family.default_sources.keys()
    _require(not unsaid, f"{what}: no source, or no default, for {', '.join(sorted(unsaid))}")
    _require(family.end_of_turn not in family.pad_tokens, f"{what}: pads with its end of turn")
    if family.chat_template is not None:
        end = family.end_of_turn or "</s>"
        for turns in _CONVERSATIONS:
            _check_template(family.chat_template, end, turns, what)
    if tokenizer is not None:
        _check_tokens(family, tokenizer, what)


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
    _require(text == plain, f"{what}: the template renders otherwise without its marks")
    for turn in turns:
        _require(turn["content"] in text, f"{what}: the template leaves out {turn['content']!r}")
    _check_parts([text[start:stop] for start, stop in spans], turns, end, what)
    for (start, _), prompt in zip(spans, prompts, strict=True):
        _require(
            text[:start] == prompt,
            f"{what}: asks with {prompt[-40:]!r}, writes {text[max(0, start - 40) : start]!r}",
        )


def _check_parts(parts: list[str], turns: list[dict[str, str]], end: str, what: str) -> None:
    wanted = [turn["content"] for turn in turns if turn["role"] == "assistant"]
    _require(
        [part.split() for part in parts]
        in ([[*(w + e).split()] for w in wanted] for e in (end, f" {end}")),
        f"{what}: marks {parts}, not each of {wanted} with its end of turn {end}",
    )


def _check_tokens(family: ModelFamily, tokenizer: Any, what: str) -> None:
    end = family.end_of_turn or tokenizer.eos_token
    _require(end in tokenizer.get_vocab(), f"{what}: the vocabulary has no {end}")
    _require(len(tokenizer(end, add_special_tokens=False).input_ids) == 1, f"{what}: {end} splits")
    for turns in _CONVERSATIONS if family.chat_template else ():
        marked = with_visible_marks(str(family.chat_template))
        rendered = tokenizer.apply_chat_template(turns, chat_template=marked, tokenize=False)
        text, spans = answers(rendered)
        encoded = tokenizer(text, add_special_tokens=False, return_offsets_mapping=True)
        ids, ends = encoded["input_ids"], [end for _, end in encoded["offset_mapping"]]
        _require(ids[:2] != [tokenizer.bos_token_id] * 2, f"{what}: two beginnings of sequence")
        parts = [
            tokenizer.decode([i for i, e in zip(ids, ends, strict=True) if start < e <= stop])
            for start, stop in spans
        ]
        _check_parts(parts, turns, end, what)


def _require(holds: bool, message: str) -> None:
    if not holds:
        raise AssertionError(message)
