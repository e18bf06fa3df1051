"""The runs in a folder: which files hold one, and which belong together."""
