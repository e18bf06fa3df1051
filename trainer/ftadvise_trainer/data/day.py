"""The day that a chat template is told: that of the run's first start, however long it takes.

Some templates write today's date into every conversation (`strftime_now`, as transformers calls
it). A run that is gone on with on another day would train on other tokens than it began with; so
the day is kept with its checkpoints, and runs below one output folder have that of the first.
"""

from __future__ import annotations

import json
from datetime import UTC, date, datetime, time
from typing import TYPE_CHECKING, Any

from ftadvise_trainer.saving.checkpoints import listed

if TYPE_CHECKING:
    from pathlib import Path

KEY = "template_day"
"""Among the settings in a manifest: the day, as in 2026-11-23."""

_ASKED = "strftime_now"
# What a format may hold, those of glibc without leading zeros included.
_LETTERS = "aAbBcdDeFfGHIjmMnprRStTuUVwWxXyYzZ"
_DIRECTIVES = [f"%{letter}" for letter in _LETTERS] + [f"%-{letter}" for letter in "dHIjmMSy"]
_PERCENT = "\x00"


def asked_for(template: str) -> bool:
    """Return whether a chat template asks for the date."""
    return _ASKED in template


def today() -> date:
    """Return the day in UTC, which is the same on all hosts of a run."""
    return datetime.now(UTC).date()


def frozen(template: str, day: date) -> str:
    """Return a template for which it is always midnight of `day`.

    A macro of the name goes before what transformers puts there, which takes no function for a
    template, and data alone. It replaces what `strftime` would.
    """
    at = datetime.combine(day, time())
    pairs = [("%%", _PERCENT), *((one, at.strftime(one)) for one in _DIRECTIVES), (_PERCENT, "%")]
    filters = "".join(f" | replace({old!r}, {new!r})" for old, new in pairs)
    # The empty text at the end keeps a line break at the beginning of the template.
    macro = f"{{% macro {_ASKED}(format) %}}{{{{ format{filters} }}}}{{% endmacro %}}{{{{ '' }}}}"
    return macro + template


def of_run(folder: Path) -> date | None:
    """Return the day that the run in a folder began with; None where no checkpoint says."""
    for _, manifest in reversed(listed(folder)):
        found = _date(manifest.settings.get(KEY))
        if found is not None:
            return found
    return None


def of_metrics(path: Path) -> date | None:
    """Return the day of the run whose `training_metrics.json` is given; None where it says none."""
    try:
        made: Any = json.loads(path.read_text(encoding="utf-8"))
        return _date(made["data"]["day"])
    except (OSError, ValueError, KeyError, TypeError, RecursionError):
        return None


def _date(text: Any) -> date | None:
    try:
        return date.fromisoformat(text)
    except (TypeError, ValueError):
        return None
