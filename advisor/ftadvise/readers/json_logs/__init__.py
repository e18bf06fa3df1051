"""Readers of JSON and JSON Lines."""
