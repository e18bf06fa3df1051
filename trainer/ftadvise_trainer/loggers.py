"""The loggers that `training.report_to` may name, and what installs them."""

from __future__ import annotations

from importlib.util import find_spec

from ftadvise.text import clean
from ftadvise_trainer.errors import TrainError
from ftadvise_trainer.settings.mistakes import did_you_mean

PACKAGES = {
    "azure_ml": "azureml-core",
    "clearml": "clearml",
    "codecarbon": "codecarbon",
    "comet_ml": "comet-ml",
    "dagshub": "dagshub mlflow",
    "dvclive": "dvclive",
    "flyte": "flytekit",
    "kubeflow": "kubeflow",
    "mlflow": "mlflow",
    "neptune": "neptune",
    "swanlab": "swanlab",
    "tensorboard": "tensorboard",
    "trackio": "trackio",
    "wandb": "wandb",
}
"""The names that transformers knows, and what pip calls the packages."""


def check(names: tuple[str, ...]) -> None:
    """Raise for a logger that is unknown or not installed, before a model is loaded.

    Args:
        names: As in `training.report_to`; `none` and `all` stand alone.

    Raises:
        TrainError: FT501, transformers knows no such logger; FT509, it is not installed.
    """
    if names in ((), ("none",), ("all",)):
        return
    from transformers.integrations.integration_utils import (
        get_available_reporting_integrations,
    )

    available = {*get_available_reporting_integrations()}
    if find_spec("flytekit"):  # which transformers knows and does not list
        available.add("flyte")
    known = {*PACKAGES, *available}
    for name in names:
        if name not in known:
            meant = did_you_mean(name, known)
            message = f"training.report_to: no logger is called {clean(name, 60)}{meant}"
            raise TrainError(message, hint=f"Known are {', '.join(sorted(known))}.")
    if missing := [name for name in names if name not in available]:
        here = ", ".join(sorted(available)) or "none"
        packages = " ".join(PACKAGES[name] for name in missing)
        raise TrainError(
            f"training.report_to: {', '.join(missing)} is not installed",
            hint=f"pip install {packages}. Installed here: {here}.",
            code="FT509",
        )
