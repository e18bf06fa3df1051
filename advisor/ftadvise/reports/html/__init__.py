"""The report as one HTML document: it needs no network, and can be read without script and colour."""

from ftadvise.reports.html.document import page

__all__ = ["page"]
