"""First-party plugins, one module each, made known by the same entry points as everyone's."""
