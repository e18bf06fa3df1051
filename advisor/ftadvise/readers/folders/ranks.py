"""What the name of a file in a folder promises: a log of one known tool, some log, or little."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ftadvise.readers.files.expanding import without_suffix

if TYPE_CHECKING:
    from ftadvise.readers.folders.walk import Place

OURS = "training_metrics.json"
STATE = "trainer_state.json"
# The lower the rank, the more a name promises.
ANCHOR, LOG, STORE, TELLING, DATA = 1, 2, 3, 4, 5

_LOGS = re.compile(
    r"trainer_log\.jsonl|metrics\.csv|metrics_epoch_\d{1,9}\.json|wandb-history\.jsonl",
    re.IGNORECASE,
)
_STORES = re.compile(
    r".*\.tfevents\..*|.*\.wandb|mlflow\.db|(?:.*[-_])?tag-.*\.csv", re.IGNORECASE | re.DOTALL
)
_TELLING = re.compile(
    r"metric|histor|log|loss|train|state|result|progress|eval|curve|output|slurm|nohup|console"
    r"|fine-?_?tun|sft|stdout|stderr|\.ipynb$",
    re.IGNORECASE,
)
_DATA = re.compile(
    r"\.(?:json|jsonl|ndjson|jsonlines|csv|tsv|txt|log|out|err|ipynb|db|sqlite3?)$", re.IGNORECASE
)
# Most of these are data sets, in shards called train-00000-of-00001.parquet.
_TABLES = re.compile(r"(?:metric|histor|log|loss|curve)[^/]*\.(?:parquet|feather)$", re.IGNORECASE)
_OUTPUT = re.compile(r"\.(?:log|out|err)$", re.IGNORECASE)
_NO_ENDING = re.compile(r"log|logs|output|stdout|stderr|nohup|console", re.IGNORECASE)
_RUN_ID = re.compile(r"[0-9a-f]{32}")
# Models, tokenizers, packages and last values: known not to hold a history, and often large.
_NO_LOG = re.compile(
    r".*config\.json|config_.*\.json|tokenizer.*\.json|.*vocab.*\.(?:json|txt)|merges\.txt"
    r"|special_tokens_map\.json|added_tokens\.json|.*\.index\.json|package(?:-lock)?\.json"
    r"|.*requirements.*\.txt|licen[cs]e(?:\..*)?|readme(?:\..*)?|dataset_infos?\.json|(?:all|train|eval|test|predict)"
    r"_results\.json|wandb-(?:summary|metadata)\.json|debug(?:-internal)?\.log|robots\.txt"
    r"|top_level\.txt|entry_points\.txt|sources\.txt|cmakelists\.txt|auto\.json"
    r"|preprocessor.*\.json|processor.*\.json|chat_template.*",
    re.IGNORECASE,
)


def rank_of(name: str, place: Place, above: Place = ()) -> int | None:
    """Return what the name of a file promises; None for what is no log.

    Args:
        name: Its name.
        place: The folders on the way to it from the folder that is searched.
        above: The folders on the way to that one, itself included.
    """
    if name.startswith("."):
        return None
    if mlflow_run(place, above) is not None:
        return STORE
    name = without_suffix(name)
    if name in (STATE, OURS):
        return ANCHOR
    if _LOGS.fullmatch(name):
        return LOG
    if _STORES.fullmatch(name):
        return STORE
    if _NO_LOG.fullmatch(name):
        return None
    if _TABLES.search(name) or _OUTPUT.search(name) or _NO_ENDING.fullmatch(name):
        return TELLING
    if _DATA.search(name) or "." not in name.rstrip("0123456789."):
        return TELLING if _TELLING.search(name) else DATA
    return None


def mlflow_run(place: Place, above: Place = ()) -> Place | None:
    """Return the folder of the MLflow run whose metrics lie in `place`; None where there is none.

    MLflow writes `mlruns/EXPERIMENT/RUN/metrics/NAME`; a NAME with slashes makes more folders.
    """
    whole = (*above, *place)
    for at, part in enumerate(whole):
        if part == "metrics" and at and _RUN_ID.fullmatch(whole[at - 1]):
            return place[: max(0, at - len(above))]
    return None
