"""Readers of the text logs of trainers, and of free text."""
