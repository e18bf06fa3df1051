"""How results show themselves: as a card in a notebook, and on axes of matplotlib.

The results inherit from these classes, and the reports that draw results import the results: so that
imports still go one way, the report is looked up by name when it is asked for.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from matplotlib.axes import Axes


class Card:
    """Shows itself in a notebook: Jupyter asks for it by the name of the method."""

    def _repr_html_(self) -> str:
        """Return a self-contained piece of HTML, without a script."""
        return str(_drawing("notebook").html(self))


class Plottable(Card):
    """Draws itself on axes of matplotlib as well."""

    def plot(self, ax: Axes | None = None) -> Axes:
        """Draw the loss curves.

        Args:
            ax: The axes to draw on, such as those of `matplotlib.pyplot.subplots()`; those of a new
                figure when None. Pyplot does not know that figure, so nothing has to be closed:
                `run.plot().figure.savefig(path)` writes it.

        Returns:
            The axes, with labels and a legend.

        Raises:
            UsageError: FT411 if matplotlib is not installed, or there is no loss to draw.
        """
        axes: Axes = _drawing("notebook_plot").plot(self, ax)
        return axes


def _drawing(name: str) -> Any:
    return importlib.import_module(f"ftadvise.reports.{name}")
