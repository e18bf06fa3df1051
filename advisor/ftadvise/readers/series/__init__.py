"""From tables of numbers to a `Run`: what names mean, which series count, their steps and epochs."""
