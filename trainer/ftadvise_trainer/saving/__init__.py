"""Checkpoints that count only when they are whole, which are kept, and the final model."""
