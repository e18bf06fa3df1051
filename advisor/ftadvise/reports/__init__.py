"""Advice as people look at it: one file per form, functions from `Advice` to text."""
