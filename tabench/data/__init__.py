"""Datasets, joint transforms and the procedural scenes."""
