"""A browser for the tests of pages: Chromium, driven by playwright; skipped where one is missing."""

from __future__ import annotations

import os
import shutil
import warnings
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

if TYPE_CHECKING:
    from playwright.sync_api import Browser, Page

NAMES = ("chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome")


@dataclass
class Opened:
    """A page that is open.

    Attributes:
        page: The page, as playwright knows it.
        troubles: What the browser complained of: errors in the console, uncaught exceptions,
            dialogs.
        requests: What was asked for besides the file itself and what it carries along.
    """

    page: Page
    troubles: list[str] = field(default_factory=list[str])
    requests: list[str] = field(default_factory=list[str])
    _known: set[str] = field(default_factory=set[str])

    def go(self, path: Path, html: str) -> None:
        """Write a page to a file and open it in place of what is open."""
        path.write_text(html, encoding="utf-8", errors="replace")
        self._known.add(path.as_uri())
        self.page.goto(path.as_uri(), wait_until="load")

    def listen(self) -> None:
        """Note from now on what goes wrong on the page, and what it asks for."""
        self.page.on("console", self._said)
        self.page.on("pageerror", lambda error: self.troubles.append(str(error)))
        self.page.on("dialog", self._refuse)
        self.page.on("request", self._note)

    def _said(self, message: Any) -> None:
        if message.type == "error":
            self.troubles.append(message.text)

    def _refuse(self, dialog: Any) -> None:
        self.troubles.append(dialog.message)
        dialog.dismiss()

    def _note(self, asked: Any) -> None:
        known = asked.url.partition("#")[0] in self._known
        if not known and not asked.url.startswith(("data:", "blob:")):
            self.requests.append(asked.url)


Open = Callable[..., Opened]


@pytest.fixture(scope="module")
def chromium() -> Iterator[Browser]:
    """Start a Chromium for the tests of a file: while it runs, no other playwright can start."""
    sync_api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    found = next(filter(None, map(shutil.which, NAMES)), None)
    if found is None:
        pytest.skip("no Chromium is installed")
    with sync_api.sync_playwright() as driver, warnings.catch_warnings():
        warnings.simplefilter("ignore")
        browser = driver.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture
def opened(chromium: Browser, tmp_path: Path) -> Iterator[Open]:
    """Write a page to a file and open it; keywords are those of a context of playwright."""
    contexts: list[Any] = []

    def show(html: str, **options: Any) -> Opened:
        context = chromium.new_context(**options)
        contexts.append(context)
        seen = Opened(context.new_page())
        seen.listen()
        seen.go(tmp_path / f"page{len(contexts)}.html", html)
        return seen

    yield show
    for context in contexts:
        context.close()


@pytest.fixture
def screenshot(tmp_path: Path) -> Callable[[Page, str], None]:
    """Keep a picture of a page, in the folder $FTADVISE_SCREENSHOTS or that of the test."""
    folder = Path(os.environ.get("FTADVISE_SCREENSHOTS") or tmp_path)

    def keep(page: Page, name: str) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        page.screenshot(path=folder / f"{name}.png", full_page=True)

    return keep
