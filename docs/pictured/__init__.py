"""What the pictures of the documentation show; `make_pictures.py` writes them."""
