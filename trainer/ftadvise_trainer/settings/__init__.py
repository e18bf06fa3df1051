"""The training YAML: read, checked, compared with that of a checkpoint, written out."""
