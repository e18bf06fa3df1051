"""Size and speed of our HTML report, beside pages of plotly, bokeh and altair with the same curves.

    python benchmarks/report_sizes.py [--peers PYTHON] [--points N ...] [--rounds N]

PYTHON has plotly, bokeh, altair and vl-convert-python; without it only our page is made. Each page
is one file that opens without a network: two losses over the epochs, and in ours the whole report.
It is made by a command of its own, of which the processor time is taken, start of Python included;
ours reads a CSV and does the analysis, theirs read an array. Then it is opened in Chromium, driven by
playwright: until the load event, and until a chart that a script made is in the frame (ours has one
drawn before that). Medians; the pages take turns.
"""

from __future__ import annotations

import argparse
import gzip
import resource
import shutil
import statistics
import subprocess
import sys
import tempfile
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np

TITLE = "Loss over epochs"
MAKES = 3  # times that each page is made at most
_HEAD = f"""
import sys, numpy as np
x, train, held_out = np.load(sys.argv[1])
title, path = {TITLE!r}, sys.argv[2]
"""
PEERS = {
    "plotly": """
import plotly.graph_objects as go
figure = go.Figure()
figure.add_scatter(x=x, y=train, name="train loss", mode="lines")
figure.add_scatter(x=x, y=held_out, name="eval loss", mode="lines")
figure.update_layout(title=title)
figure.write_html(path, include_plotlyjs=True)
""",
    "bokeh": """
from bokeh.embed import file_html
from bokeh.plotting import figure
from bokeh.resources import INLINE
plot = figure(title=title, sizing_mode="stretch_width")
plot.line(x, train, legend_label="train loss")
plot.line(x, held_out, legend_label="eval loss", color="orange")
open(path, "w", encoding="utf-8").write(file_html(plot, INLINE, title))
""",
    "altair": """
import altair as alt, pandas as pd
alt.data_transformers.disable_max_rows()
names = ["train loss"] * x.size + ["eval loss"] * x.size
rows = pd.DataFrame({"epoch": np.tile(x, 2), "loss": np.concatenate([train, held_out]), "of": names})
chart = alt.Chart(rows, title=title).mark_line().encode(x="epoch", y="loss", color="of")
open(path, "w", encoding="utf-8").write(chart.interactive().to_html(inline=True))
""",
}
# Runs before the page does, and notes the first frame in which a canvas with something on it, or
# a curve of an SVG that a script made, is there; shadow trees are looked into.
PAINTED = """
(() => {
  const small = document.createElement("canvas");
  small.width = small.height = 16;
  const full = (canvas) => {
    if (!canvas.width || !canvas.height) return false;
    const pen = small.getContext("2d", { willReadFrequently: true });
    pen.clearRect(0, 0, 16, 16);
    pen.drawImage(canvas, 0, 0, 16, 16);
    const all = pen.getImageData(0, 0, 16, 16).data;
    return all.some((value, i) => i % 4 === 3 && value > 0);
  };
  const within = (root) => {
    for (const one of root.querySelectorAll("canvas")) if (full(one)) return true;
    for (const one of root.querySelectorAll("path.js-line, .mark-line path")) if (one.getAttribute("d")) return true;
    for (const one of root.querySelectorAll("*")) if (one.shadowRoot && within(one.shadowRoot)) return true;
    return false;
  };
  const look = () => {
    if (document.body && within(document)) requestAnimationFrame(() => { window.painted = performance.now(); });
    else requestAnimationFrame(look);
  };
  requestAnimationFrame(look);
})();
"""
LOADED = "performance.getEntriesByType('navigation')[0].loadEventEnd"


@dataclass
class Measured:
    """One page.

    Attributes:
        path: Where it is.
        made: Processor seconds of the command, one a round.
        loaded: Milliseconds to the end of the load event.
        painted: Milliseconds to the first frame with a chart.
    """

    path: Path
    made: list[float] = field(default_factory=list[float])
    loaded: list[float] = field(default_factory=list[float])
    painted: list[float] = field(default_factory=list[float])

    def row(self, name: str) -> str:
        """Return a row of the table."""
        whole = self.path.read_bytes()
        cells = [
            name,
            f"{len(whole) / 1000:,.0f}",
            f"{len(gzip.compress(whole)) / 1000:,.0f}",
            f"{statistics.median(self.made):.2f}",
            f"{statistics.median(self.loaded):,.0f}",
            f"{statistics.median(self.painted):,.0f}",
        ]
        return f"| {' | '.join(cells)} |"


def main() -> None:
    """Make the pages, open them in turns and print the table."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--peers", metavar="PYTHON")
    parser.add_argument("--points", type=int, nargs="+", default=[1_000, 100_000])
    parser.add_argument("--rounds", type=int, default=5)
    options = parser.parse_args()
    for points in options.points:
        with tempfile.TemporaryDirectory() as folder:
            found = measured(Path(folder), points, options.peers, options.rounds)
            print(f"\n2 x {points:,} points\n")
            print("| page | kB | kB gzip | made in s | loaded in ms | chart in ms |")
            print("|---|---:|---:|---:|---:|---:|")
            for name, one in found.items():
                print(one.row(name))


def measured(folder: Path, points: int, peers: str | None, rounds: int) -> dict[str, Measured]:
    """Make every page and open it in turns, `rounds` times; it is made `MAKES` times at most."""
    csv, array = write(folder, points)
    ours = [sys.executable, "-m", "ftadvise", "analyze", str(csv), "-o"]
    commands = {"ftadvise": ours}
    if peers is not None:
        for name, code in PEERS.items():
            commands[name] = [peers, "-c", _HEAD + code, str(array)]
    found = {name: Measured(folder / f"{name}.html") for name in commands}
    for _ in range(min(rounds, MAKES)):
        for name, command in commands.items():
            began = spent()
            subprocess.run([*command, str(found[name].path)], check=True, capture_output=True)
            found[name].made.append(spent() - began)
    for _ in range(rounds):
        for one in found.values():
            loaded, painted = opened(one.path)
            one.loaded.append(loaded)
            one.painted.append(painted)
    return found


def spent() -> float:
    """Return the processor seconds of all commands so far."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def write(folder: Path, points: int) -> tuple[Path, Path]:
    """Write a train and an eval loss that turns up again, as CSV and as an array."""
    scatter = np.random.default_rng(0).standard_normal((2, points))
    epoch = 4.0 * np.arange(1, points + 1) / points
    train = 0.5 + 1.5 / (1.0 + 2.0 * epoch) + 0.03 * scatter[0]
    held_out = 0.9 + 1.0 / (1.0 + 3.0 * epoch) + 0.05 * epoch + 0.01 * scatter[1]
    csv, array = folder / "log.csv", folder / "log.npy"
    rows = np.column_stack([np.arange(1, points + 1), epoch, train, held_out])
    np.savetxt(
        csv, rows, "%d,%.6f,%.5f,%.5f", header="step,epoch,train_loss,eval_loss", comments=""
    )
    np.save(array, np.stack([epoch, train, held_out]))
    return csv, array


def opened(path: Path) -> tuple[float, float]:
    """Open a page in a browser of its own; return milliseconds to its load event and its chart."""
    from playwright.sync_api import sync_playwright

    with sync_playwright() as driver:
        browser = driver.chromium.launch(
            executable_path=shutil.which("chromium"), args=["--no-sandbox"]
        )
        page = browser.new_page(viewport={"width": 1280, "height": 900})
        page.add_init_script(PAINTED)
        page.goto(path.as_uri(), wait_until="load")
        page.wait_for_function("window.painted !== undefined", timeout=60_000)
        times = page.evaluate(f"[{LOADED}, window.painted]")
        browser.close()
    return float(times[0]), float(times[1])


if __name__ == "__main__":
    main()
