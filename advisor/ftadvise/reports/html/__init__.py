"""The report as one HTML document that needs nothing else: no network, no script, no colour."""

from ftadvise.reports.html.document import page

__all__ = ["page"]
