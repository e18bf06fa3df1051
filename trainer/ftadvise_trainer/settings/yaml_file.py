"""Reads YAML into values that know where and how they were written.

Stricter and safer than `yaml.safe_load`: duplicate keys are mistakes, `2e-5` is a number, `010` and
`1:30` are not, tags make no objects, and a file that would grow without bound when its aliases are
followed is refused.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, NoReturn

from ftadvise.text import clean
from ftadvise_trainer.errors import TrainError
from ftadvise_trainer.settings.mistakes import ConfigError

if TYPE_CHECKING:
    from pathlib import Path

    from ftadvise_trainer.settings.mistakes import Mistakes

_MOST_BYTES = 256_000
_MOST_VALUES = 10_000
_DEEPEST = 20

_TAGS = {f"tag:yaml.org,2002:{kind}" for kind in ("str", "int", "float", "bool", "null")}
_AS_TEXT = {f"tag:yaml.org,2002:{kind}" for kind in ("timestamp", "merge", "value")}
# As in YAML 1.2. YAML 1.1 takes 2e-5 for text, 010 for eight and 1:30 for ninety.
_INT = re.compile(r"[-+]?(0|[1-9][0-9_]{0,30})")
_FLOAT = re.compile(
    r"[-+]?(\.[0-9]+|[0-9]+\.[0-9]*)([eE][-+]?[0-9]+)?|[-+]?[0-9]+[eE][-+]?[0-9]+"
    r"|[-+]?\.(inf|Inf|INF)|\.(nan|NaN|NAN)"
)


@dataclass(frozen=True)
class Given:
    """One value as somebody wrote it.

    Attributes:
        value: None, a bool, int, float or str, a list of `Given`, or a dict of them by key.
        line: Line in the file, from 1; 0 for one that came with `--set`.
        text: How a scalar was written, without its quotes.
    """

    value: Any
    line: int
    text: str = ""


def plain(given: Given) -> Any:
    """Return the value alone, without where it was written."""
    if isinstance(given.value, dict):
        return {key: plain(inner) for key, inner in given.value.items()}  # pyright: ignore
    if isinstance(given.value, list):
        return [plain(inner) for inner in given.value]  # pyright: ignore
    return given.value


def read_text(path: Path) -> str:
    """Return the text of a YAML file, or raise `ConfigError` when it is no such thing."""
    name = str(path)
    if not path.exists():
        raise ConfigError(name, ["there is no such file"])
    if not path.is_file():
        raise ConfigError(name, ["not a file" if not path.is_dir() else "a folder, not a file"])
    try:
        with path.open("rb") as file:
            raw = file.read(_MOST_BYTES + 1)
    except OSError as error:
        raise ConfigError(name, [f"cannot be read: {error.strerror}"]) from error
    if len(raw) > _MOST_BYTES:
        raise ConfigError(name, [f"larger than {_MOST_BYTES // 1000} kB, so no training YAML"])
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ConfigError(name, [f"not UTF-8 text (byte {error.start})"]) from error


def parse(text: str, mistakes: Mistakes, line: int | None = None) -> Given:
    """Return what a YAML text says.

    Args:
        text: The YAML.
        mistakes: Where duplicate keys and the like are noted.
        line: The line to give every value instead of its own.

    Raises:
        ConfigError: If the text is no YAML, or is nested or repeated beyond measure.
    """
    yaml = _yaml()
    try:
        _check_shape(yaml.parse(text, Loader=yaml.SafeLoader), mistakes)
        node = yaml.compose(text, Loader=yaml.SafeLoader)
    except yaml.YAMLError as error:
        _refuse(mistakes, _worded(error), getattr(error, "problem_mark", None))
    if node is None:
        return Given(None, 1 if line is None else line)
    return _Builder(mistakes, line).build(node, 0)


def _yaml() -> Any:
    try:
        import yaml
    except ImportError as error:
        hint = "pip install 'ftadvise[train]'"
        raise TrainError("training needs PyYAML", hint=hint, code="FT509") from error
    return yaml


def _refuse(mistakes: Mistakes, message: str, mark: Any = None) -> NoReturn:
    # Alone: what was found in a text that cannot be read to its end would only distract.
    where = f"line {mark.line + 1}: " if mark is not None else ""
    raise ConfigError(mistakes.name, [where + message])


def _worded(error: Any) -> str:
    problem = clean(getattr(error, "problem", None) or getattr(error, "reason", error), 200)
    return f"not valid YAML: {problem}"


def _check_shape(events: Any, mistakes: Mistakes) -> None:
    """Refuse what is too large or too deep, event by event, before anything is built of it."""
    depth = documents = 0
    for number, event in enumerate(events):
        kind = type(event).__name__
        depth += kind in ("MappingStartEvent", "SequenceStartEvent")
        depth -= kind in ("MappingEndEvent", "SequenceEndEvent")
        documents += kind == "DocumentStartEvent"
        if depth > _DEEPEST:
            _refuse(mistakes, f"nested deeper than {_DEEPEST} levels", event.start_mark)
        if number > 4 * _MOST_VALUES:
            _refuse(mistakes, f"more than {_MOST_VALUES} values", event.start_mark)
        if documents > 1:
            _refuse(mistakes, "a second YAML document begins (---)", event.start_mark)


class _Builder:
    """Turns YAML nodes into `Given`, counting them, since an alias may be followed many times."""

    def __init__(self, mistakes: Mistakes, line: int | None) -> None:
        self._mistakes = mistakes
        self._line = line
        self._left = _MOST_VALUES

    def build(self, node: Any, depth: int) -> Given:
        self._left -= 1
        if self._left < 0 or depth > _DEEPEST:
            _refuse(self._mistakes, "its aliases grow beyond measure", node.start_mark)
        line = node.start_mark.line + 1 if self._line is None else self._line
        if node.id == "scalar":
            return Given(self._scalar(node, line), line, node.value)
        if node.tag not in ("tag:yaml.org,2002:map", "tag:yaml.org,2002:seq"):
            self._mistakes.add(f"the tag {_short_tag(node.tag)} is not allowed", line)
            return Given(None, line)
        if node.id == "sequence":
            return Given([self.build(inner, depth + 1) for inner in node.value], line)
        return Given(self._mapping(node, line, depth), line)

    def _mapping(self, node: Any, line: int, depth: int) -> dict[str, Given]:
        made: dict[str, Given] = {}
        for key_node, value_node in node.value:
            here = key_node.start_mark.line + 1 if self._line is None else self._line
            if key_node.id != "scalar":
                self._mistakes.add("a key must be a name", here)
                continue
            key = str(key_node.value)
            if key in made:
                first = made[key].line
                self._mistakes.add(f"{clean(key, 80)} stands twice, first in line {first}", here)
                continue
            built = self.build(value_node, depth + 1)
            # The line of the key is where people look, also for a section.
            made[key] = Given(built.value, here, built.text)
        return made

    def _scalar(self, node: Any, line: int) -> Any:
        text, tag = str(node.value), str(node.tag)
        if tag not in _TAGS | _AS_TEXT:
            self._mistakes.add(f"the tag {_short_tag(tag)} is not allowed", line)
            return None
        return text if node.style in ("'", '"', "|", ">") else unquoted(text, tag)


def _short_tag(tag: str) -> str:
    return clean(tag.replace("tag:yaml.org,2002:", "!!"), 80)


def scalar(text: str) -> Any:
    """Return the value of a scalar that stands outside of any file, as after `--set key=`."""
    yaml = _yaml()
    tag: str = yaml.SafeLoader("").resolve(yaml.ScalarNode, text, (True, False))
    return unquoted(text, tag)


def unquoted(text: str, tag: str = "") -> Any:
    """Return the value of a scalar without quotes; `tag` is how YAML 1.1 takes it."""
    if tag.endswith(":null"):
        return None
    if tag.endswith(":bool"):
        return text.lower() in ("true", "yes", "on")
    if _INT.fullmatch(text):
        return int(text)
    if _FLOAT.fullmatch(text):
        return float(re.sub(r"\.(?=[iInN])", "", text))
    return text
