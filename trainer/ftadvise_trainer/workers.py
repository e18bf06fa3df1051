"""Data loader workers that leave SIGTERM and SIGINT to the process they work for.

A scheduler signals every process of a job, and Ctrl-C every process of a terminal. A worker that
dies of it makes torch raise in the training, in the middle of the step whose end it should reach
to save ("DataLoader worker is killed by signal").
"""

from __future__ import annotations

import os
import signal
import threading
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

SIGNALS = (signal.SIGTERM, signal.SIGINT)


class ObeyParent:
    """A `worker_init_fn`: in this worker, SIGTERM and SIGINT count only from its parent.

    The parent sends SIGTERM when it shuts its workers down and one of them does not answer. When
    the parent dies, a worker ends by itself within seconds.
    """

    def __init__(self, then: Callable[[int], Any] | None = None) -> None:
        """Take the `worker_init_fn` that the loader already has."""
        self.then = then

    def __call__(self, worker_id: int) -> None:
        """Begin to, in a worker."""
        _obey_parent()
        if self.then is not None:
            self.then(worker_id)


def obeying_parent(loader: Any) -> Any:
    """Return `loader`, a data loader of torch or of accelerate, with such workers.

    Holds from the next pass over it on, also for what `accelerate.skip_first_batches` makes of it.
    """
    inner = getattr(loader, "base_dataloader", loader)  # accelerate wraps one of torch
    then = getattr(inner, "worker_init_fn", None)
    if getattr(inner, "num_workers", 0) > 0 and not isinstance(then, ObeyParent):
        inner.worker_init_fn = ObeyParent(then)
    return loader


def died(error: BaseException) -> bool:
    """Return whether torch raised `error` because a worker is gone."""
    return isinstance(error, RuntimeError) and str(error).startswith("DataLoader worker")


def _obey_parent() -> None:
    if not hasattr(signal, "sigwaitinfo"):  # macOS: who sent a signal cannot be told
        signal.signal(signal.SIGINT, signal.SIG_IGN)
        return
    signal.pthread_sigmask(signal.SIG_BLOCK, SIGNALS)
    threading.Thread(target=_wait_for_parent, args=(os.getppid(),), daemon=True).start()


def _wait_for_parent(parent: int) -> None:
    while signal.sigwaitinfo(SIGNALS).si_pid != parent:
        pass
    os._exit(0)  # as torch's own handler does
