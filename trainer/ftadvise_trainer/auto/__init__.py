"""`train --auto`: settings chosen from past runs, the schedule without an end, the next run."""
