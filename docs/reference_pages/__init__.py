"""The pages of docs/reference, one file for each kind; `make_reference.py` writes them."""
