"""Reads the training logs you already have and says what the next fine-tune should be.

    run = ftadvise.read("training_metrics.json")
    advice = ftadvise.advise(run)
    advice.num_train_epochs

Names are loaded when they are first used, so that `import ftadvise` costs nothing.
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from ftadvise.advice import Advice
    from ftadvise.advising import advise
    from ftadvise.errors import FtadviseError, LogError
    from ftadvise.fitting import Fit, fit
    from ftadvise.forecasting import Forecast, forecast
    from ftadvise.hookspecs import hookimpl
    from ftadvise.live import Decision, should_stop
    from ftadvise.policies import Replay, replay
    from ftadvise.readers import read, read_all
    from ftadvise.run import Run, Series

__version__ = "0.1.0"

__all__ = [
    "Advice",
    "Decision",
    "Fit",
    "Forecast",
    "FtadviseError",
    "LogError",
    "Replay",
    "Run",
    "Series",
    "__version__",
    "advise",
    "fit",
    "forecast",
    "hookimpl",
    "read",
    "read_all",
    "replay",
    "should_stop",
]

_HOME = {
    "Advice": "advice",
    "Decision": "live",
    "Fit": "fitting",
    "Forecast": "forecasting",
    "FtadviseError": "errors",
    "LogError": "errors",
    "Replay": "policies",
    "Run": "run",
    "Series": "run",
    "advise": "advising",
    "fit": "fitting",
    "forecast": "forecasting",
    "hookimpl": "hookspecs",
    "read": "readers",
    "read_all": "readers",
    "replay": "policies",
    "should_stop": "live",
}


def __getattr__(name: str) -> Any:
    """Load a public name from the module it lives in."""
    if name not in _HOME:
        raise AttributeError(f"module 'ftadvise' has no attribute {name!r}")
    value = getattr(importlib.import_module(f"ftadvise.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    """List the public names, loaded or not."""
    return sorted({*globals(), *__all__})
