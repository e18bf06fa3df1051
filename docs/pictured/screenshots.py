"""Photographs of the HTML report, taken by Chromium through playwright."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

from ftadvise.reports.html import page
from pictured.example import COMMAND, LOG, advice

# By file: width and height of the window in pixels, and pixels of the screen for each.
SHOTS = {"report.png": (1280, 1060, 1), "report-phone.png": (390, 1240, 1)}
MOST = 150_000  # bytes of a photograph


def take(folder: Path) -> Iterator[Path]:
    """Write the photographs into a folder, and yield their paths.

    Raises:
        RuntimeError: There is no Chromium.
        ValueError: A photograph is larger than it may be.
    """
    from playwright.sync_api import sync_playwright

    chromium = shutil.which("chromium") or shutil.which("google-chrome")
    if chromium is None:
        raise RuntimeError("no chromium is installed, which takes the photographs")
    folder.mkdir(exist_ok=True)
    with tempfile.TemporaryDirectory() as scratch, sync_playwright() as driver:
        report = Path(scratch) / "report.html"
        html = page([(LOG, advice())], command=f"{COMMAND} -o report.html")
        report.write_text(html, encoding="utf-8")
        browser = driver.chromium.launch(executable_path=chromium, args=["--no-sandbox"])
        for name, (width, height, scale) in SHOTS.items():
            context = browser.new_context(
                viewport={"width": width, "height": height},
                device_scale_factor=scale,
                color_scheme="light",
                reduced_motion="reduce",
            )
            shown = context.new_page()
            shown.goto(report.as_uri())
            path = folder / name
            path.write_bytes(shown.screenshot())
            if path.stat().st_size > MOST:
                raise ValueError(f"{name} has {path.stat().st_size} bytes, more than {MOST}")
            yield path
        browser.close()
