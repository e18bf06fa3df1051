"""Several processes of one training, on one host or several: torchrun's agent, without its noise.

The agent (`torch.distributed.launcher`, what `torchrun` itself calls) runs in this process and
starts `ftadvise_trainer.processes.launched` once for each GPU. Signals go on to the processes, which save and
end by themselves: the agent's own way would kill whoever is still saving after 30 seconds.
"""

from __future__ import annotations

import contextlib
import logging
import os
import re
import signal
import sys
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

from ftadvise.text import clean
from ftadvise_trainer.errors import TrainError
from ftadvise_trainer.processes.launch_folder import VARIABLE, LaunchFolder

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import FrameType, TracebackType

_SIGNALS = (signal.SIGTERM, signal.SIGINT)
_ENDPOINT = re.compile(r"(?:\[[0-9A-Fa-f:.]+\]|[^\s:\[\]]+):\d{1,5}")
_NOISY = ("torch.distributed.elastic", "torch.distributed.launcher")


@dataclass(frozen=True)
class Launch:
    """Which processes a training has, as the command line says.

    Attributes:
        nproc: Processes on this host, a number or `auto` (one for each GPU); None for one.
        nnodes: Number of hosts.
        rdzv: `HOST:PORT` where the hosts meet; that of host 0.
        node_rank: Which of the hosts this is; left out, `rdzv` is compared with its names.
        max_restarts: How often all processes are started again when one is lost.
    """

    nproc: str | None = None
    nnodes: int = 1
    rdzv: str | None = None
    node_rank: int | None = None
    max_restarts: int = 0

    @property
    def wanted(self) -> bool:
        """Whether anything of this was asked for."""
        return self != Launch()


@dataclass(frozen=True)
class Ended:
    """How a launch ended: its exit status, and what there is to say that nobody has said."""

    code: int
    lines: tuple[str, ...] = ()


def processes(launch: Launch, *, use_cpu: bool = False) -> int:
    """Return the number of processes on this host.

    Args:
        launch: What was asked for.
        use_cpu: Whether the settings keep the training from the GPUs.

    Raises:
        TrainError: FT501, something of it cannot be.
    """
    check(launch)
    if launch.nproc is None:
        return 1
    gpus = 0 if use_cpu else _gpus()
    if launch.nproc == "auto":
        return max(gpus, 1)
    count = int(launch.nproc)
    if gpus and count > gpus:
        raise TrainError(
            f"--nproc {count}: there are {gpus} GPUs here, and each process needs its own",
            hint="--nproc auto takes one process for each GPU.",
        )
    return count


def check(launch: Launch, *, meets: bool = False) -> None:
    """Refuse what does not go together; `meets` says that the hosts meet without `rdzv`.

    Raises:
        TrainError: FT501, naming the option.
    """
    wrong = ""
    if launch.nproc not in (None, "auto") and not re.fullmatch(
        r"0*[1-9]\d{0,3}", launch.nproc or ""
    ):
        wrong = f"--nproc {clean(launch.nproc, 40)}: neither auto nor a number of processes"
    elif launch.nnodes < 1 or launch.max_restarts < 0:
        wrong = "--nnodes must be at least 1, and --max-restarts at least 0"
    elif launch.nnodes > 1 and not launch.rdzv and not meets:
        wrong = "--nnodes needs --rdzv HOST:PORT, where the hosts meet"
    elif launch.rdzv and not _ENDPOINT.fullmatch(launch.rdzv):
        wrong = f"--rdzv {clean(launch.rdzv, 80)}: not of the form HOST:PORT"
    elif launch.node_rank is not None and not 0 <= launch.node_rank < launch.nnodes:
        wrong = f"--node-rank {launch.node_rank}: hosts are counted from 0 to {launch.nnodes - 1}"
    if wrong:
        raise TrainError(wrong, hint="`ftadvise train --help` shows how they go together.")


def _gpus() -> int:
    import torch

    return int(torch.accelerator.device_count()) if torch.accelerator.is_available() else 0


def run(launch: Launch, nproc: int, arguments: Sequence[str]) -> Ended:
    """Train in several processes, and return how that ended.

    Args:
        launch: As on the command line.
        nproc: Processes on this host.
        arguments: Those of `ftadvise train` for each of them.

    Raises:
        TrainError: FT501, the hosts did not meet.
    """
    for name in _NOISY:  # it writes of every restart, with tracebacks of its own
        logging.getLogger(name).propagate = False
        logging.getLogger(name).addHandler(logging.NullHandler())
    cores = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count()
    os.environ.setdefault("OMP_NUM_THREADS", str(max((cores or 1) // nproc, 1)))
    os.environ.setdefault("TORCH_CPP_LOG_LEVEL", "ERROR")
    # A store of its own for each attempt: in one that is shared (torch 2.13) the processes of the
    # second would find the addresses of the first, and be refused.
    os.environ["TORCH_DISABLE_SHARE_RDZV_TCP_STORE"] = "1"
    with tempfile.TemporaryDirectory(prefix="ftadvise-launch-") as name:
        folder = LaunchFolder(Path(name))
        with _Forwarded(folder), _environment({VARIABLE: name}):
            dead, failed = _agent(launch, nproc, arguments, folder)
        return _ended(folder, dead, failed)


def _agent(
    launch: Launch, nproc: int, arguments: Sequence[str], folder: LaunchFolder
) -> tuple[dict[int, int], bool]:
    """Run the agent to its end; return exit statuses by process where it says that some failed."""
    from torch.distributed.elastic.multiprocessing import DefaultLogsSpecs, SignalException, Std
    from torch.distributed.elastic.multiprocessing.errors import ChildFailedError
    from torch.distributed.elastic.rendezvous import RendezvousError
    from torch.distributed.launcher.api import LaunchConfig, elastic_launch

    rendezvous: dict[str, Any] = {}
    if launch.node_rank is not None and launch.nnodes > 1:
        rendezvous["is_host"] = "true" if launch.node_rank == 0 else "false"
    config = LaunchConfig(
        min_nodes=launch.nnodes,
        max_nodes=launch.nnodes,
        nproc_per_node=nproc,
        run_id=os.environ.get("SLURM_JOB_ID", "ftadvise"),
        rdzv_backend="c10d",
        rdzv_endpoint=launch.rdzv or "localhost:0",
        rdzv_configs=rendezvous,
        # The others write into files; this host's first process has the terminal.
        logs_specs=DefaultLogsSpecs(
            log_dir=str(folder.logs), redirects=dict.fromkeys(range(1, nproc), Std.ALL)
        ),
        local_addr="localhost" if launch.rdzv is None else None,
        max_restarts=launch.max_restarts,
        # SIGTERM and SIGINT are ours; an empty list it would not take.
        signals_to_handle="SIGQUIT",
    )
    command = ("-m", "ftadvise_trainer.processes.launched", *arguments)
    try:
        elastic_launch(config, sys.executable)(*command)
    except ChildFailedError as error:
        return {rank % nproc: one.exitcode for rank, one in error.failures.items()}, True
    except SignalException as error:
        folder.stop(int(error.sigval))
        return {}, True
    except RendezvousError as error:
        raise TrainError(
            f"the processes could not meet at {launch.rdzv or 'this host'}: {clean(error, 300)}",
            hint="--rdzv names host 0 and a free port that all hosts reach; each needs the same "
            "--nnodes.",
        ) from error
    return {}, False


def _ended(folder: LaunchFolder, dead: dict[int, int], failed: bool) -> Ended:
    attempt = folder.attempt()
    ends = folder.ends(attempt)
    number = folder.stopped()
    codes = [end.code for end in ends if end.final and end.code]
    if not failed:
        return Ended(codes[0] if codes else 0)
    if number is not None:
        return Ended(128 + number)
    lines = tuple(folder.complaints(attempt, dead))
    if codes:
        return Ended(codes[0], lines)
    # The one that began it: neither lost the others nor was ended because of them.
    first = [end.code for end in ends if end.code and not end.lost]
    gone = sorted(dead.values(), key=lambda status: (status == -signal.SIGTERM, status))
    status = first[0] if first else gone[0] if gone else 1
    return Ended(128 - status if status < 0 else status, lines)


class _Forwarded:
    """SIGTERM and SIGINT go on to the processes, which save and end; the launcher waits for them."""

    def __init__(self, folder: LaunchFolder) -> None:
        import psutil  # type: ignore[import-untyped]  # accelerate needs it too

        self.folder = folder
        self.previous: dict[int, Any] = {}
        self.here = psutil.Process()
        self.gone: type[Exception] = psutil.Error

    def __enter__(self) -> Self:
        for number in _SIGNALS:
            self.previous[number] = signal.signal(number, self._on_signal)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        for number, handler in self.previous.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)

    def _on_signal(self, number: int, frame: FrameType | None) -> None:
        self.folder.stop(number)
        for child in self.here.children():
            with contextlib.suppress(self.gone):
                child.send_signal(number)


@contextlib.contextmanager
def _environment(values: dict[str, str]) -> Any:
    before = {name: os.environ.get(name) for name in values}
    os.environ.update(values)
    try:
        yield
    finally:
        for name, value in before.items():
            if value is None:
                os.environ.pop(name, None)
            else:
                os.environ[name] = value
