"""An optimizer for bfloat16 weights, whose updates are not rounded away."""
