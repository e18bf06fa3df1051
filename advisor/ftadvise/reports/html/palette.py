"""The colours of the curves, told apart by people who see few colours as well.

They are of the family of Okabe and Ito (Color Universal Design, 2008), as in the pictures of the
documentation. `static/report.css` has the same names, with lighter ones for a dark page.
"""

from __future__ import annotations

COLOURS = {
    "judged": "#0072b2",
    "smooth": "#0072b2",
    "train": "#757575",
    "ahead": "#0072b2",
    "best": "#007a59",
    "onset": "#c65300",
    "stop": "#555555",
    "advised": "#007a59",
    "normal": "#0072b2",
    "continued": "#007a59",
    "early": "#a8437f",
    "before": "#757575",
}
RUNS = ("#0072b2", "#c65300", "#007a59", "#a8437f", "#8a6d00", "#4b5fc1", "#757575", "#2f8fa8")


def colour(role: str) -> str:
    """Return the colour of a role on a light page; `run3` is the third curve of several."""
    if role.startswith("run"):
        return RUNS[int(role[3:]) % len(RUNS)]
    return COLOURS[role]
