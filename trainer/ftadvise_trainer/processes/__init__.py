"""Several processes, on one host or on many: starting them, sharding a model over them."""
