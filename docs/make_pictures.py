"""Draws docs/pictures from the code, from real runs: the same tree gives the same bytes.

usage: python docs/make_pictures.py [--check] [--screenshots] [NAME...]

Without a NAME all of them, which takes about a minute: `lengths`, `gap`, `forecasts` and
`calibration` come from the fine-tunes in `benchmarks/finetunes`; `terminal` and `advice`, from one
log in `examples`, take a second. With --check nothing is written, and the exit code is 1 when one
is stale. With --screenshots the report page is photographed as well, by Chromium (playwright).
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from pathlib import Path

DOCS = Path(__file__).parent
if str(DOCS) not in sys.path:  # also where a test loads this file by its path
    sys.path.insert(0, str(DOCS))

from pictured import advice, learned, screenshots, terminal

PICTURES = DOCS / "pictures"
LEARNED = ("lengths", "gap", "forecasts", "calibration")
QUICK: dict[str, Callable[[], str]] = {"terminal": terminal.picture, "advice": advice.picture}


def drawn(names: list[str]) -> dict[str, str]:
    """Return the pictures of these names, or all of them for none, by file name."""
    wanted = names or [*QUICK, *LEARNED]
    unknown = [name for name in wanted if name not in (*QUICK, *LEARNED)]
    if unknown:
        sys.exit(
            f"no picture is called {', '.join(unknown)}; there are {', '.join([*QUICK, *LEARNED])}"
        )
    found = {name: make() for name, make in QUICK.items() if name in wanted}
    if any(name in wanted for name in LEARNED):
        found |= {name: one for name, one in learned.pictures().items() if name in wanted}
    return {f"{name}.svg": one for name, one in found.items()}


def stale(pictures: dict[str, str]) -> list[str]:
    """Return the file names of the pictures that are not as they would be drawn now."""
    return [
        name
        for name, one in pictures.items()
        if not (PICTURES / name).is_file() or (PICTURES / name).read_text(encoding="utf-8") != one
    ]


def main() -> None:
    """Draw, or check."""
    options = {word for word in sys.argv[1:] if word.startswith("--")}
    pictures = drawn([word for word in sys.argv[1:] if not word.startswith("--")])
    if "--check" in options:
        wrong = stale(pictures)
        print("\n".join(wrong) or f"{len(pictures)} pictures are up to date")
        sys.exit(1 if wrong else 0)
    PICTURES.mkdir(exist_ok=True)
    for name, one in pictures.items():
        (PICTURES / name).write_text(one, encoding="utf-8")
        print(f"{name}: {len(one.encode())} bytes")
    if "--screenshots" in options:
        for path in screenshots.take(DOCS / "screenshots"):
            print(f"{path.name}: {path.stat().st_size} bytes")


if __name__ == "__main__":
    main()
