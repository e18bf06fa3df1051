"""All conformance checks of one plugin: what it registers, each thing by the check of its kind."""

from __future__ import annotations

import tempfile
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftadvise import plugins
from ftadvise.errors import LogError
from ftadvise.plugin_faults import FAULTS
from ftadvise.readers.source import Reader, Source
from ftadvise.testing.commands import check_commands
from ftadvise.testing.families import check_family
from ftadvise.testing.laws import check_law
from ftadvise.testing.policies import check_policy
from ftadvise.testing.promises import require
from ftadvise.testing.readers import check_reader, check_reader_on_garbage
from ftadvise.testing.rules import check_rule

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Sequence

_KINDS: dict[str, tuple[str, str, Callable[[Any], None]]] = {
    "register_laws": ("law", "name", check_law),
    "register_stop_policies": ("policy", "name", check_policy),
    "register_rules": ("rule", "code", check_rule),
    "register_model_families": ("family", "name", check_family),
}


@dataclass(frozen=True)
class Outcome:
    """What came of one check.

    Attributes:
        kind: `"plugin"`, `"reader"`, `"law"`, `"policy"`, `"rule"`, `"family"` or `"commands"`.
        name: Name of the thing; its code for a rule.
        problem: The promise that it breaks; empty when it keeps them all.
        note: What could not be checked, and how it can be.
    """

    kind: str
    name: str
    problem: str = ""
    note: str = ""


def check_plugin(
    module: object, name: str, logs: Sequence[Path] = (), taken: Collection[str] = ()
) -> list[Outcome]:
    """Check everything that a plugin registers.

    Nothing else that is installed takes part. A reader is checked on the logs that it is the
    surest of, and on `SAMPLE`, a log as text or bytes, where the module has one.

    Args:
        module: The module with the hooks.
        name: What the plugin is called.
        logs: Logs in the formats that it reads.
        taken: Names of commands that are not free.

    Returns:
        One outcome for the plugin as a whole, then one for each thing it registers.
    """
    with plugins.only(**{name: module}) as registry:
        entry = registry.plugins[name]
        wrong = [entry.error, *entry.notes]
        if not entry.hooks and not entry.error:
            wrong.append("it implements no hook")
        found: list[Outcome] = []
        for implementation in _implementations(registry, name):
            hook = implementation.hook_name
            try:
                found += _of_hook(hook, implementation.function, module, logs, taken)
            except FAULTS as error:
                wrong.append(f"{hook} raised {type(error).__name__}: {error}")
    if logs and "register_readers" not in entry.hooks:
        wrong.append("it has no reader, and logs were given for one")
    return [Outcome("plugin", name, "; ".join(filter(None, wrong))), *found]


@dataclass(frozen=True)
class _Implementation:
    hook_name: str
    function: Callable[..., Any]


def _implementations(registry: plugins.Registry, name: str) -> Iterator[_Implementation]:
    for hook in plugins.hook_names():
        for one in getattr(registry.manager.hook, hook).get_hookimpls():
            if one.plugin_name == name:
                yield _Implementation(hook, one.function)


def _of_hook(
    hook: str,
    function: Callable[..., Any],
    module: object,
    logs: Sequence[Path],
    taken: Collection[str],
) -> Iterator[Outcome]:
    if hook == "register_commands":
        yield _outcome("commands", "", partial(check_commands, function, taken))
        return
    given: object = function()
    if not isinstance(given, list | tuple):
        yield Outcome("plugin", hook, f"{hook} returned {type(given).__name__}, not a list")
        return
    things: list[Any] = [*given]  # pyright: ignore[reportUnknownVariableType]
    if hook == "register_readers":
        yield from _readers(things, getattr(module, "SAMPLE", None), logs)
        return
    kind, attribute, check = _KINDS[hook]
    seen: set[str] = set()
    for thing in things:
        name = str(getattr(thing, attribute, thing))
        if name in seen:
            yield Outcome(kind, name, f"{hook} returned two of this {attribute}")
        seen.add(name)
        yield _outcome(kind, name, partial(check, thing))


def _outcome(kind: str, name: str, check: Callable[[], object], note: str = "") -> Outcome:
    try:
        check()
    except AssertionError as error:
        return Outcome(kind, name, str(error) or "an assertion of its own failed")
    return Outcome(kind, name, note=note)


def _readers(readers: list[Any], sample: object, logs: Sequence[Path]) -> Iterator[Outcome]:
    with tempfile.TemporaryDirectory() as folder:
        good = list(logs)
        if isinstance(sample, str | bytes):
            good.append(Path(folder) / "sample.log")
            good[-1].write_bytes(sample.encode() if isinstance(sample, str) else sample)
        by_reader, strays = _sorted_out(readers, good)
        for number, reader in enumerate(readers):
            own = by_reader.get(number, [])
            name = str(getattr(reader, "name", reader))
            if own:
                yield _outcome("reader", name, partial(check_reader, reader, own))
                continue
            note = "checked on garbage alone: give it a log with --log FILE"
            yield _outcome("reader", name, partial(check_reader_on_garbage, reader), note)
        for path in strays:
            yield Outcome("reader", path.name, "no reader of the plugin knows this log")


def _sorted_out(
    readers: list[Any], logs: Sequence[Path]
) -> tuple[dict[int, list[Path]], list[Path]]:
    """Return the logs by the reader that is the surest of each, and those that none knows."""
    found: dict[int, list[Path]] = {}
    strays: list[Path] = []
    for path in logs:
        sure = [_sureness(reader, path) for reader in readers]
        best = max(sure, default=0.0)
        if best > 0:
            found.setdefault(sure.index(best), []).append(path)
        else:
            strays.append(path)
    return found, strays


def _sureness(reader: Any, path: Path) -> float:
    try:
        require(isinstance(reader, Reader), "no reader")
        return float(reader.sniff(Source(path)))
    except LogError:
        raise
    except FAULTS:
        return 1.0
