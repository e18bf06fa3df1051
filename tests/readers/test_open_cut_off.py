"""Compressed logs of which only the first bytes arrived."""

from __future__ import annotations

import bz2
import gzip
import lzma
from typing import TYPE_CHECKING

import pytest

from ftadvise.errors import LogError
from ftadvise.readers import read_all

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType

TEXT = b'{"loss": [3.0, 2.0, 1.5]}' * 100


@pytest.mark.parametrize("module", [gzip, bz2, lzma])
def test_a_log_cut_off_before_its_first_byte_is_not_called_empty(
    tmp_path: Path, module: ModuleType
) -> None:
    path = tmp_path / "log"
    path.write_bytes(module.compress(TEXT)[:10])
    with pytest.raises(LogError, match="cut off before anything") as raised:
        read_all(path)
    assert raised.value.code == "FT404"
