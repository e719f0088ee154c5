"""Hostile and broken input for every reader of the package; see README.md beside this file."""

# modules whose TARGETS are fed
FORMATS = ("npy", "images", "archives", "tensors", "matlab", "reports", "texts", "json_files")
