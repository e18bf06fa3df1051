"""One save, for a process that strace kills or starves; run by path.

Exit status 3 where the disk failed.
"""

from __future__ import annotations

import os
import sys
from pathlib import Path

root = Path(__file__).resolve().parents[2]
sys.path[:0] = [str(root / "advisor"), str(root / "trainer"), str(root / "tests")]

from checkpoint_cases import save_step_4

from ftadvise_trainer.errors import TrainError
from ftadvise_trainer.saving.preflight import disk_errors

output_dir = Path(sys.argv[1])
os.umask(0o022)  # a mark in the trace: from here on it counts
try:
    with disk_errors(output_dir):
        save_step_4(output_dir)
except TrainError as error:
    sys.exit(error.exit_code)
os.umask(0o022)
