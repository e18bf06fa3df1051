"""A run in progress: follows its log, and says how far it is and how it may end.

Nothing here prints, sleeps or writes: `following` turns looks at a path into runs, `progress` turns
a run into numbers, `asides` and `pace` find how long it takes, `ending` tells whether it is over.
"""
