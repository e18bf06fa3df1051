"""From records on disk to tokens with a loss mask."""
