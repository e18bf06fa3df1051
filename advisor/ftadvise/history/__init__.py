"""The history: every run that was trained or added, in one SQLite file.

    from ftadvise import history

    history.add(run, history.facts_near("checkpoints"))
    past = [found.run for found in history.comparable(run)]
    advice = ftadvise.advise(run, past=past)

The file lies at `history.default_path()`. It is safe under any number of writers on one host, a
killed one included, and can be read with the sqlite3 program.
"""

from ftadvise.history.comparing import Comparable, comparable
from ftadvise.history.entries import Entry, Prediction, prediction_in, prediction_of
from ftadvise.history.facts import Facts, facts_in, facts_near
from ftadvise.history.failures import HistoryError
from ftadvise.history.outcome import Outcome, outcome, track_record
from ftadvise.history.place import default_path, enabled
from ftadvise.history.store import add, entry, forget, load, runs

__all__ = [
    "Comparable",
    "Entry",
    "Facts",
    "HistoryError",
    "Outcome",
    "Prediction",
    "add",
    "comparable",
    "default_path",
    "enabled",
    "entry",
    "facts_in",
    "facts_near",
    "forget",
    "load",
    "outcome",
    "prediction_in",
    "prediction_of",
    "runs",
    "track_record",
]
