"""Figures drawn of records, and how they look."""
