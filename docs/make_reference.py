"""Writes docs/reference and docs/schemas from the code.

usage: python docs/make_reference.py [--check]

With --check nothing is written; the exit code is 1 when a file is missing, stale or left over.
Plugins that happen to be installed are left out.
"""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

DOCS = Path(__file__).parent
if str(DOCS) not in sys.path:  # also where a test loads this file by its path
    sys.path.insert(0, str(DOCS))

from output_schemas import file_name, schemas
from reference_pages import (
    api,
    callbacks,
    commands,
    environment,
    errors,
    exit_codes,
    families,
    index,
    outputs,
    policies,
    rules,
    settings,
)
from reference_pages import hooks as hook_pages
from reference_pages.hooks import hooks

__all__ = ["all_files", "hooks", "main", "stale"]

_KINDS = (
    commands,
    settings,
    families,
    errors,
    exit_codes,
    environment,
    policies,
    api,
    callbacks,
    hook_pages,
    outputs,
    rules,
    index,
)
_WRITTEN = (("reference", "*.md"), ("schemas", "*.json"))


def all_files() -> dict[str, str]:
    """Return every file by its path under docs."""
    found = {f"reference/{path}": text for kind in _KINDS for path, text in kind.pages().items()}
    for name, schema in schemas().items():
        text = json.dumps(schema, indent=2, ensure_ascii=False)
        found[f"schemas/{file_name(name)}"] = text + "\n"
    return found


def stale(files: dict[str, str]) -> list[str]:
    """Return the paths that differ from what the code says, left-over ones included."""
    there = {
        path.relative_to(DOCS).as_posix(): path.read_text(encoding="utf-8")
        for folder, pattern in _WRITTEN
        for path in (DOCS / folder).rglob(pattern)
    }
    return sorted(path for path in files.keys() | there if files.get(path) != there.get(path))


def main() -> None:
    """Write the files, or check them."""
    os.environ["FTADVISE_NO_PLUGINS"] = "1"
    files = all_files()
    wrong = stale(files)
    if "--check" in sys.argv[1:]:
        print("\n".join(wrong) or "docs/reference and docs/schemas are up to date")
        sys.exit(1 if wrong else 0)
    for path in wrong:
        if path in files:
            (DOCS / path).parent.mkdir(parents=True, exist_ok=True)
            (DOCS / path).write_text(files[path], encoding="utf-8")
        else:
            (DOCS / path).unlink()


if __name__ == "__main__":
    main()
