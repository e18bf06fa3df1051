"""The same work on many logs, on all cores: one process that dies costs one log.

Each worker is given one piece of work at a time. Its death is seen at once, is told as the outcome
of that piece, and another worker takes its place. For up to `FEW` pieces no process is started.
"""

from __future__ import annotations

import contextlib
import os
import signal
import sys
from collections import deque
from dataclasses import dataclass, field
from types import ModuleType
from typing import TYPE_CHECKING, Any, Generic, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence
    from multiprocessing.connection import Connection
    from multiprocessing.context import SpawnProcess

T = TypeVar("T")
R = TypeVar("R")

FEW = 8  # pieces that are done one after the other: a process takes as long to start
_TICK = 0.2  # seconds between two signs of life
_PATIENCE = 2.0  # seconds for a process to end
_READY, _DONE, _FAILED = "ready", "done", "failed"


@dataclass(frozen=True)
class Died:
    """What became of a piece of work whose process died.

    Attributes:
        how: What ended it, as `signal 11` or `exit code 1`.
        killed: Whether it was killed from outside, as a system does that runs out of memory.
    """

    how: str
    killed: bool


def each(
    work: Callable[[T], R], pieces: Sequence[T], tick: Callable[[int], None] | None = None
) -> Generator[R | Died]:
    """Yield what `work` makes of each piece, in their order.

    Args:
        work: A function at the top of a module, which never raises. What it takes and returns is
            pickled; a result that cannot be is made once more in this process.
        pieces: The work to do.
        tick: Called now and then with the number of pieces that are done.
    """
    tick = tick or _no_tick
    if len(pieces) > FEW:
        yield from _Pool(work, pieces, tick).run()
        return
    for place, piece in enumerate(pieces):
        tick(place)
        yield work(piece)


def _no_tick(done: int) -> None:
    """Do nothing."""


def cores() -> int:
    """Return how many cores this process may use."""
    try:
        return len(os.sched_getaffinity(0))
    except (AttributeError, OSError):  # not on every system
        return os.cpu_count() or 1


@dataclass
class _Worker:
    process: SpawnProcess
    connection: Connection[Any, Any]
    ready: bool = False
    place: int | None = None  # of the piece that it works on


@dataclass
class _Pool(Generic[T, R]):
    work: Callable[[T], R]
    pieces: Sequence[T]
    tick: Callable[[int], None]
    waiting: deque[int] = field(default_factory=deque[int])
    found: dict[int, R | Died] = field(default_factory=dict[int, "R | Died"])
    workers: list[_Worker] = field(default_factory=list[_Worker])
    told: int = 0
    alone: bool = False  # no worker can be started here: this process does the work

    def run(self) -> Generator[R | Died]:
        self.waiting.extend(range(len(self.pieces)))
        try:
            for place in range(len(self.pieces)):
                while place not in self.found:
                    self._advance(place)
                self.told = place
                yield self.found.pop(place)
        finally:
            for worker in self.workers:
                _end(worker)

    def _advance(self, place: int) -> None:
        """Wait for something to be done, and hand out more."""
        self.tick(self.told + len(self.found))
        wanted = min(cores(), len(self.waiting) + sum(w.place is not None for w in self.workers))
        while not self.alone and len(self.workers) < wanted:
            self._start()
        if self.alone and not self.workers:
            self.waiting.remove(place)
            self.found[place] = self.work(self.pieces[place])
            return
        from multiprocessing.connection import wait

        by_connection = {worker.connection: worker for worker in self.workers}
        for connection in wait(list(by_connection), timeout=_TICK):
            self._hear(by_connection[connection])  # type: ignore[index]

    def _start(self) -> None:
        import multiprocessing

        context = multiprocessing.get_context("spawn")
        ours, theirs = context.Pipe()
        process = context.Process(target=_serve, args=(theirs, self.work), daemon=True)
        try:
            with _without_interrupts(), _without_main():
                process.start()
        except (OSError, RuntimeError, ValueError):  # no more processes, or none allowed here
            self.alone = True
            ours.close()
            return
        finally:
            theirs.close()
        self.workers.append(_Worker(process, ours))

    def _hear(self, worker: _Worker) -> None:
        """Take what a worker says, and give it the next piece."""
        try:
            what, result = worker.connection.recv()
        except Exception:  # noqa: BLE001 - cut off anywhere, even within an object
            self._bury(worker)
            return
        if what == _READY:
            worker.ready = True
        elif worker.place is not None:
            piece = self.pieces[worker.place]
            self.found[worker.place] = result if what == _DONE else self.work(piece)
            worker.place = None
        if self.waiting:
            worker.place = self.waiting.popleft()
            try:
                worker.connection.send(self.pieces[worker.place])
            except OSError:
                self._bury(worker)

    def _bury(self, worker: _Worker) -> None:
        self.workers.remove(worker)
        _end(worker, kill=False)
        if not worker.ready:  # it never began: what starts it is wrong, and no log
            self.alone = True
        if worker.place is not None:
            code = worker.process.exitcode or 0
            how = f"signal {-code}" if code < 0 else f"exit code {code}"
            self.found[worker.place] = Died(how, killed=code == -9)


def _end(worker: _Worker, kill: bool = True) -> None:
    worker.connection.close()
    if kill:
        worker.process.terminate()
    worker.process.join(_PATIENCE)
    if worker.process.is_alive():
        worker.process.kill()
        worker.process.join(_PATIENCE)


@contextlib.contextmanager
def _without_interrupts() -> Generator[None]:
    """Start processes that Ctrl-C does not reach, not even before they can say so."""
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextlib.contextmanager
def _without_main() -> Generator[None]:
    """Start processes that do not run the program again that this one runs.

    A worker needs nothing of it, and a program that calls us outside of `if __name__ ==
    "__main__"` would do all its work once in every worker.
    """
    program = sys.modules["__main__"]
    sys.modules["__main__"] = ModuleType("__main__")
    try:
        yield
    finally:
        sys.modules["__main__"] = program


def _serve(connection: Connection[Any, Any], work: Callable[[Any], Any]) -> None:
    """Work until the other side is gone: the life of a worker."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    for library in ("OMP", "OPENBLAS", "MKL"):  # before numpy is loaded: each has its core
        os.environ.setdefault(f"{library}_NUM_THREADS", "1")
    with contextlib.suppress(EOFError, OSError):
        connection.send((_READY, None))
        while True:
            _answer(connection, work(connection.recv()))


def _answer(connection: Connection[Any, Any], result: Any) -> None:
    from multiprocessing.reduction import ForkingPickler

    try:
        told = ForkingPickler.dumps((_DONE, result))
    except Exception:  # noqa: BLE001 - such as a law of a plugin that is a lambda
        told = ForkingPickler.dumps((_FAILED, None))
    connection.send_bytes(told)
