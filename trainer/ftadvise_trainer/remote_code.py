"""Code that a model repository brings along: it runs only where a person names it with its commit.

`--remote-code NAME@REVISION` is the one way, and the command line the one place. No key of a YAML
and no file of a model can switch it on. Loads nothing, so that the command can ask at once.
"""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ftadvise.text import clean
from ftadvise_trainer.errors import TrainError

if TYPE_CHECKING:
    from ftadvise_trainer.config import Config

OPTION = "--remote-code"
# A branch or a tag may be moved to other code tomorrow; a commit may not.
_FORM = re.compile(r"(?P<name>[^@\s]+)@(?P<revision>[0-9a-f]{40})")


def split(remote_code: str) -> tuple[str, str]:
    """Return the name and the revision in `NAME@REVISION`, or raise `TrainError` (FT501)."""
    found = _FORM.fullmatch(remote_code)
    if found is None:
        raise TrainError(
            f"{OPTION}: {clean(remote_code, 200)!r} is not NAME@REVISION "
            "with a commit of 40 hexadecimal digits",
            hint="A branch or a tag may be moved to other code; the page of a model on the hub "
            "lists its commits under Files, History.",
        )
    return found["name"], found["revision"]


def asked_for(error: BaseException, name: str) -> TrainError | None:
    """Return what to say when transformers wants to run code that nobody has allowed, else None."""
    if "trust_remote_code" not in str(error):
        return None
    return TrainError(
        f"{clean(name, 200)!r} brings code of its own, which nobody has allowed to run",
        hint=f"Look at the code; then {OPTION} NAME@REVISION lets it run, from the hub or its "
        "cache at one commit. In a folder here it never runs.",
    )


def allowed(config: Config, remote_code: str | None) -> dict[str, Any]:
    """Return the arguments of `from_pretrained` about code and revision.

    Args:
        config: The run's settings.
        remote_code: `NAME@REVISION`, as a person has typed it; None lets no code run.

    Raises:
        TrainError: FT501, it is not the model and the revision of the settings.
    """
    model = config.model
    arguments: dict[str, Any] = {"trust_remote_code": False}
    if model.revision:
        arguments["revision"] = model.revision
    if remote_code is None:
        return arguments
    name, revision = split(remote_code)
    if (name, revision) != (model.name_or_path, model.revision):
        raise TrainError(
            f"remote code is allowed for {name!r} at {revision!r}, "
            f"but the model is {model.name_or_path!r} at {model.revision or 'no revision'!r}",
            hint="Set model.name_or_path and model.revision to what is allowed.",
        )
    if config.find(name).exists() or Path(name).exists():
        raise TrainError(
            f"remote code is allowed for {name!r} at a revision, but that is a folder here, "
            "and what lies in a folder is no revision",
            hint="Load the model from the hub or its cache, where a commit says what the code is.",
        )
    # Code of yet another repository, which the model's config may name, has no such commit.
    return arguments | {"trust_remote_code": True, "code_revision": revision}
