"""Packing results with all that a stranger needs to check them. No torch. Errors as in the store."""
