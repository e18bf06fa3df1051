"""The readers of tables, in one list for their registration."""

from __future__ import annotations

from ftadvise.readers.source import Reader
from ftadvise.readers.table_logs import (
    csv_table,
    keras_csv,
    lightning_csv,
    openai_csv,
    parquet,
    tracker_csv,
    ultralytics_csv,
)

READERS: list[Reader] = [
    lightning_csv.READER,
    keras_csv.READER,
    ultralytics_csv.READER,
    openai_csv.READER,
    tracker_csv.WANDB_READER,
    tracker_csv.TENSORBOARD_READER,
    parquet.READER,
    csv_table.READER,
]
