"""From the logs and folders on the command line to the answer for each run in them."""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ftadvise.cli import many, messages
from ftadvise.cli.options import Take
from ftadvise.cli.progress import Progress, waiting
from ftadvise.errors import FtadviseError, LogError
from ftadvise.text import clean

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
    from pathlib import Path

    from ftadvise.advice import Advice
    from ftadvise.readers.folders.belonging import Log
    from ftadvise.readers.folders.below import Outcome, RunsBelow
    from ftadvise.readers.wanted import Wanted
    from ftadvise.run import Run

    Answer = tuple[str, Advice | FtadviseError]
    Listed = Callable[[str, RunsBelow, Run], None]


@dataclass(frozen=True, eq=False)
class Job:
    """A log to read and judge, or a run that has been read.

    Attributes:
        path: The log.
        take: What to take of it.
        price: As in `advise`.
        run: The run, where it has been read.
        error: Why there is none, where that is known.
    """

    path: str
    take: Take
    price: float | None
    run: Run | None = None
    error: FtadviseError | None = None


def jobs_of(
    paths: Sequence[str], take: Take, price: float | None, listed: Listed | None = None
) -> list[Job]:
    """Return what is to be done for the logs and folders on the command line, in their order.

    Folders, and the standard input, are read here and now.

    Args:
        paths: Logs, folders and `-`.
        take: What to take of each.
        price: As in `advise`.
        listed: Called with the runs of a folder that has several, of which one is taken.
    """
    jobs: list[Job] = []
    for path in paths:
        try:
            jobs += _jobs_of(path, take, price, listed)
        except Exception as error:  # noqa: BLE001 - one bad log sinks none of the others
            jobs.append(Job(path, take, price, error=messages.as_error(error)))
    return jobs


def _jobs_of(path: str, take: Take, price: float | None, listed: Listed | None) -> Iterable[Job]:
    from ftadvise.readers import folder_of

    folder = folder_of(path)
    if folder is None:
        job = Job(path, take, price)
        # A worker has no standard input.
        return [job] if path != "-" else _received(job)
    below = runs_below(folder, take.wanted)
    if not take.every:
        one = below.newest() if take.run is None else below.called(take.run, path)
        run = one.run
        if listed is not None and take.run is None and len(below.runs) > 1:
            listed(path, below, run)
        return [Job(run.source.path, take, price, take.timed(run))]
    read = [Job(one.run.source.path, take, price, take.timed(one.run)) for one in below.runs]
    unread = [Job(str(log.choices[0][0]), take, price, error=e) for log, e in below.unread]
    return [*read, *unread]


def _received(job: Job) -> list[Job]:
    return [Job(job.path, job.take, job.price, run) for run in _runs(job)]


def runs_at(path: str, wanted: Wanted) -> RunsBelow:
    """Read the runs in a log or in a folder, with when their logs were written.

    Raises:
        LogError: As for `ftadvise.read`.
    """
    from pathlib import Path

    from ftadvise.readers import folder_of, read_all
    from ftadvise.readers.folders.belonging import Log
    from ftadvise.readers.folders.below import Below, RunsBelow

    folder = folder_of(path)
    if folder is not None:
        return runs_below(folder, wanted)
    runs = read_all(path, wanted.key, wanted.eval_key)
    file = Path(path)
    written = file.stat().st_mtime if path != "-" else time.time()
    log = Log(file.name, (), ((file,),), 0, written)
    return RunsBelow(tuple(Below(run, log) for run in runs))


def runs_below(folder: Path, wanted: Wanted) -> RunsBelow:
    """Read the runs in a folder, on all cores where there are many logs."""
    from ftadvise.readers.folders.below import read_below

    return read_below(folder, wanted, _read_logs)


def _read_logs(logs: Sequence[Log], wanted: Wanted) -> Iterator[Outcome]:
    pieces = [(log, wanted) for log in logs]
    progress = Progress("reading", len(pieces))
    try:
        for log, outcome in zip(logs, many.each(_read_log, pieces, progress.at), strict=True):
            if isinstance(outcome, many.Died):
                yield _death(str(log.choices[0][0]), outcome)
            else:
                yield outcome
    finally:
        progress.clear()


def _read_log(piece: tuple[Log, Wanted]) -> Outcome:
    """Read one log, in a process of its own where there are many."""
    from ftadvise.readers.folders.below import read_each

    log, wanted = piece
    (outcome,) = read_each([log], wanted)
    return _plain(outcome) if isinstance(outcome, LogError) else outcome


def answers(jobs: Sequence[Job], progress: Progress) -> Generator[Answer]:
    """Yield the answer for each run in the order of the jobs; what goes wrong stays with its log."""
    if messages.debugging.get():  # tracebacks do not travel between processes
        for job in jobs:
            yield from answer(job)
        return
    work = _answer if len(jobs) > many.FEW else _patiently
    for job, found in zip(jobs, many.each(work, jobs, progress.at), strict=True):
        if isinstance(found, many.Died):
            yield job.path, _death(job.path, found)
        else:
            yield from found


def _answer(job: Job) -> list[Answer]:
    """Return the answers for a job such that they can travel between processes."""
    return [
        (path, _plain(found) if isinstance(found, FtadviseError) else found)
        for path, found in answer(job)
    ]


def answer(job: Job) -> list[Answer]:
    """Read and judge one log; never raises."""
    if job.error is not None:
        return [(job.path, job.error)]
    if job.run is not None:
        return [(job.path, _advice_or_error(job.run, job.price))]
    try:
        runs = _runs(job)
    except Exception as error:  # noqa: BLE001 - one bad log sinks none of the others
        return [(job.path, messages.as_error(error))]
    return [(job.path, _advice_or_error(run, job.price)) for run in runs]


def _patiently(job: Job) -> list[Answer]:
    """As `_answer`, in the process that owns the terminal."""
    with waiting(f"reading {clean(job.path, 200)}"):
        return _answer(job)


def _runs(job: Job) -> list[Run]:
    from ftadvise.readers import read, read_all

    take = job.take
    if take.every:
        found = read_all(job.path, take.key, take.eval_key)
    else:
        found = [read(job.path, take.run, take.key, take.eval_key)]
    return [take.timed(run) for run in found]


def _advice_or_error(run: Run, price: float | None) -> Advice | FtadviseError:
    from ftadvise.advising import advise

    try:
        return advise(run, price=price)
    except Exception as error:  # noqa: BLE001 - as above
        return messages.as_error(error)


def _plain(error: FtadviseError) -> LogError:
    """Return an error of a kind that every process knows."""
    return LogError(error.message, hint=error.hint, code=error.code)


def _death(path: str, died: many.Died) -> LogError:
    if died.killed:
        return LogError(
            f"{clean(path, 1000)}: the process that read it was killed",
            code="FT407",
            hint="That happens when the memory is full: give a smaller part of the log.",
        )
    return LogError(
        f"{clean(path, 1000)}: the process that read it died ({died.how})",
        code=messages.BUG,
        hint="Analyze it alone with --debug to see why, and report that.",
    )
