"""The index of the reference."""

from __future__ import annotations

from reference_pages import commands, outputs, rules
from reference_pages.hooks import hooks
from reference_pages.markdown import WRITTEN, page, prose, table

_SINGLE = (
    ("Settings of a training YAML", "settings.md", "every key, its default and what it does"),
    ("Model families", "families.md", "how a model is recognised; recipes and their sources"),
    ("Error codes", "errors.md", "what FT401 to FT999 mean"),
    ("Exit codes", "exit-codes.md", "of each command"),
    ("Environment variables", "environment.md", "what is read, and what it changes"),
    ("Stop policies", "stop-policies.md", "what `ftadvise replay` knows"),
    ("Loss laws", "laws.md", "the curves that a fit averages over"),
    ("Log formats", "../formats.md", "what is read, and how it is recognised"),
)
_PYTHON = (
    ("ftadvise", "python.md", "read, advise, forecast, replay, and what they return"),
    ("ftadvise.history", "python-history.md", "runs that are remembered"),
    (
        "ftadvise_trainer.callbacks",
        "python-callbacks.md",
        "parts of the trainer for a trainer of your own",
    ),
    ("ftadvise.testing", "testing.md", "checks for authors of plugins"),
)


def pages() -> dict[str, str]:
    """Return the index by its path."""
    parts = [
        "Made from the code by `python docs/make_reference.py`.",
        "## Commands",
        table(("command", "what it does"), _commands()),
        "Before a command stand:",
        table(("option", "what it does"), commands.common()),
        "## Settings and codes",
        table(("page", "what it has"), [(f"[{t}]({p})", said) for t, p, said in _SINGLE]),
        "## In Python",
        table(("page", "what it has"), [(f"[{t}]({p})", said) for t, p, said in _PYTHON]),
        "## Hooks",
        table(("hook", "what it does"), _hooks()),
        "## Outputs",
        table(("schema", "what it is"), _outputs()),
        "## Findings",
        table(("code", "name", "what it says"), _rules()),
    ]
    return {"README.md": page("Reference", WRITTEN, *parts)}


def _commands() -> list[tuple[str, str]]:
    return [
        (f"[ftadvise {name}](commands/{name}.md)", prose(said))
        for name, said in commands.summaries().items()
    ]


def _hooks() -> list[tuple[str, str]]:
    return [
        (f"[{name}](hooks/{name}.md)", prose(hook.doc.summary)) for name, hook in hooks().items()
    ]


def _outputs() -> list[tuple[str, str]]:
    return [
        (f"[{name}]({path})", prose(title)) for name, (path, title) in outputs.summaries().items()
    ]


def _rules() -> list[tuple[str, ...]]:
    return [
        (f"[{code}](rules/{code}.md)", name, prose(said))
        for code, (name, said) in rules.summaries().items()
    ]
