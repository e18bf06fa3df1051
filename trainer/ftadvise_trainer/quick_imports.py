"""Imports torch and transformers without the garbage collector looking on."""

from __future__ import annotations

import gc
from contextlib import contextmanager
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Generator


@contextmanager
def uncollected() -> Generator[None]:
    """Make the imports in this block quicker, and every collection after it.

    The half a million objects that such imports leave are all there to stay. Collections during
    the imports find nothing, and later ones (accelerate asks for one before the first step) need
    not go through them again: they are frozen at the end, until somebody calls `gc.unfreeze`, as
    `thawed` does.
    """
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        gc.freeze()
        if enabled:
            gc.enable()


@contextmanager
def thawed() -> Generator[None]:
    """Give back to the collector, at the end of this block, what was frozen in it.

    What had been frozen before stays frozen only if nothing was frozen here: the collector knows
    no parts of it.
    """
    before = gc.get_freeze_count()
    try:
        yield
    finally:
        if gc.get_freeze_count() > before:
            gc.unfreeze()
