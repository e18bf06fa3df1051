"""Readers of what trainers print to a console or into a notebook."""
