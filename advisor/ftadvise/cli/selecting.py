"""Which findings count: `--check`, `--select` and `--ignore`."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, TypeVar

import click

from ftadvise.cli import completing
from ftadvise.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from ftadvise.rules.case import Finding

_F = TypeVar("_F", bound="Callable[..., Any]")

# As in ftadvise.rules.case, whose package is too heavy to import for --help; a test compares them.
LEVELS = ("error", "warning", "info")
CHECKED = ("warning", "error")
RULE_FAILED = "FT902"  # the one finding that no rule stands behind


@dataclass(frozen=True)
class Selection:
    """Which findings were asked for.

    Attributes:
        check: Whether a finding makes the command exit with 1.
        select: Codes, beginnings of codes and levels that count; empty for the default.
        ignore: Those that do not.
    """

    check: bool = False
    select: tuple[str, ...] = ()
    ignore: tuple[str, ...] = ()

    @property
    def narrows(self) -> bool:
        """Whether anything was selected or ignored."""
        return bool(self.select or self.ignore)

    def counts(self, finding: Finding) -> bool:
        """Say whether `--check` fails on a finding: without `--select`, on warnings and errors."""
        return self._among(finding, self.select or CHECKED)

    def shows(self, finding: Finding) -> bool:
        """Say whether a format that tells findings alone tells this one: without a choice, any."""
        return self._among(finding, self.select or LEVELS)

    def verify(self) -> None:
        """Refuse what no rule's code begins with.

        Raises:
            UsageError: FT411; its hint names the nearest code.
        """
        if not self.narrows:
            return
        from ftadvise.rules import all_rules

        codes = [*(rule.code.upper() for rule in all_rules()), RULE_FAILED]
        for name in (*self.select, *self.ignore):
            if name.lower() not in LEVELS and not any(code.startswith(name) for code in codes):
                raise _unknown(name, codes)

    def _among(self, finding: Finding, select: tuple[str, ...]) -> bool:
        """Say whether a finding is chosen; of what is selected and ignored the longer code wins."""
        wanted = _closeness(finding, select)
        return wanted >= 0 and wanted > _closeness(finding, self.ignore)


def _closeness(finding: Finding, names: tuple[str, ...]) -> int:
    """Return how many characters of its code the best of `names` fixes; 0 for its level, else -1."""
    code = finding.code.upper()
    fits = [len(name) for name in names if code.startswith(name)]
    return max(fits, default=0 if finding.level in map(str.lower, names) else -1)


def _unknown(name: str, codes: list[str]) -> UsageError:
    from ftadvise.text import clean, nearest

    meant = nearest(name, [*codes, *map(str.upper, LEVELS)])
    guess = ""
    if meant:
        shown = meant.lower() if meant.lower() in LEVELS else meant
        guess = f"Did you mean {shown!r}? "
    return UsageError(
        f"no finding has a code that begins with {clean(name, 40)!r}",
        hint=f"{guess}`ftadvise rule` lists the codes; levels are {', '.join(LEVELS)}.",
    )


def _names(ctx: click.Context, param: click.Parameter, value: tuple[str, ...]) -> tuple[str, ...]:
    """Return the names in the values of an option that may be given several times."""
    return tuple(name.strip().upper() for one in value for name in one.split(",") if name.strip())


def options(command: _F) -> _F:
    """Add `--check`, `--select` and `--ignore` to a command, as `selection`."""
    from functools import wraps

    @click.option(
        "--check",
        is_flag=True,
        help="Exit with 1 when there is a warning or an error, or what --select names.",
    )
    @click.option(
        "--select",
        multiple=True,
        metavar="CODE,...",
        callback=_names,
        shell_complete=completing.codes,
        help="The findings that --check fails on, and that concise, github, sarif and junit tell: codes, "
        "beginnings of codes, or levels, as in FT201,FT3,error.",
    )
    @click.option(
        "--ignore",
        multiple=True,
        metavar="CODE,...",
        callback=_names,
        shell_complete=completing.codes,
        help="The findings that they leave out; of both the longer code wins.",
    )
    @wraps(command)
    def with_selection(
        *args: Any, check: bool, select: tuple[str, ...], ignore: tuple[str, ...], **others: Any
    ) -> Any:
        return command(*args, selection=Selection(check, select, ignore), **others)

    return with_selection  # type: ignore[return-value]
