"""One process of several that `ftadvise train --nproc` has started: runs the command once more.

    python -m ftadvise_trainer.processes.launched CONFIG [options of `ftadvise train`]

It differs from `ftadvise train` in how it ends. torchrun starts all processes again when one of
them does not end with 0; so a run that was stopped by a signal ends with 0 and leaves its status in
the launcher's folder, and one that was started again ends at once where that could change nothing.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
from typing import NoReturn

import click

from ftadvise.cli import messages
from ftadvise.errors import FtadviseError
from ftadvise_trainer.processes.launch_folder import End, LaunchFolder
from ftadvise_trainer.processes.rank import first_process

_STOPPED = (128 + signal.SIGTERM, 128 + signal.SIGINT)
_PR_SET_PDEATHSIG = 1
_LOST = ("gloo", "nccl", "connection closed by peer", "connection reset", "broken pipe", "store")


def main(arguments: list[str]) -> NoReturn:
    """Run the command, and tell the launcher how it ended."""
    folder = LaunchFolder.of_environment()
    if folder is None:
        raise SystemExit(
            "ftadvise_trainer.processes.launched is started by `ftadvise train --nproc`"
        )
    _end_with_parent()
    attempt = int(os.environ.get("TORCHELASTIC_RESTART_COUNT", "0"))
    rank = int(os.environ.get("LOCAL_RANK", "0"))
    end = _ended_already(folder, attempt, rank)
    if end is None:
        if attempt:
            arguments = [one for one in arguments if one != "--no-resume"]
            _say_again(folder, attempt, arguments)
        end = _run(arguments, rank)
    elif attempt == 1 and first_process():
        # In the first attempt another process may have failed, and this one been ended unheard.
        for line in folder.complaints(0, {}):
            messages.plain(line)
    folder.put(attempt, end)
    _leave(0 if end.code in _STOPPED else end.code)


def _run(arguments: list[str], rank: int) -> End:
    from ftadvise_trainer.commands import train

    messages.debugging.set(os.environ.get("FTADVISE_DEBUG", "") not in ("", "0"))
    try:
        code = train.main(arguments, prog_name="ftadvise train", standalone_mode=False)
    except FtadviseError as error:
        messages.complain(error)
        return End(rank, int(getattr(error, "exit_code", 2)), final=True)
    except click.ClickException as error:
        messages.complain(error)
        return End(rank, 2, final=True)
    except Exception as error:  # noqa: BLE001 - whatever it is, the launcher has to know
        if lost_contact(error):
            if messages.debugging.get():
                messages.complain(error)
            messages.plain(f"process {rank} has lost the others")
            return End(rank, 1, final=False, lost=True)
        messages.complain(error)
        return End(rank, 2, final=False)
    return End(rank, code if isinstance(code, int) else 0, final=True)


def lost_contact(error: BaseException) -> bool:
    """Return whether an exception is how this process learned that another one has gone."""
    if isinstance(error, (ConnectionError, BrokenPipeError)):
        return True
    if type(error).__module__.startswith("torch") and type(error).__name__.startswith("Dist"):
        return True  # DistBackendError, DistNetworkError, DistStoreError
    text = str(error).lower()
    return type(error) is RuntimeError and any(word in text for word in _LOST)


def _ended_already(folder: LaunchFolder, attempt: int, rank: int) -> End | None:
    """Return how this process ends without having begun: as the attempt before, or as told."""
    number = folder.stopped()
    if number is not None:
        return End(rank, 128 + number, final=True)
    before = folder.ends(attempt - 1) if attempt else []
    # An attempt that is over for good is not repeated; one that ended well had no restart.
    over = [end.code for end in before if end.final and end.code]
    return End(rank, over[0], final=True) if over else None


def _say_again(folder: LaunchFolder, attempt: int, arguments: list[str]) -> None:
    if not first_process():
        return
    for line in folder.complaints(attempt - 1, {}):
        messages.plain(line)
    if "--quiet" not in arguments:
        most = os.environ.get("TORCHELASTIC_MAX_RESTARTS", "?")
        messages.plain(f"a process was lost: all are started again ({attempt} of {most})")


def _end_with_parent() -> None:
    """Have the kernel send SIGTERM when the launcher dies: the run is saved, and nothing is left."""
    if sys.platform.startswith("linux"):
        with contextlib.suppress(OSError, AttributeError):
            ctypes.CDLL(None).prctl(_PR_SET_PDEATHSIG, int(signal.SIGTERM))


def _leave(code: int) -> NoReturn:
    for stream in (sys.stdout, sys.stderr):
        with contextlib.suppress(OSError, ValueError):
            stream.flush()
    if code:
        os._exit(code)  # what waits for other processes at exit would wait for the dead
    raise SystemExit(0)


if __name__ == "__main__":
    main(sys.argv[1:])
