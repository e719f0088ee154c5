"""Procedural worlds: generated datasets that stand in for real ones, and the small SAM pretrained on them."""
