"""Hostile and broken input for every reader of the package; see README.md beside this file."""
