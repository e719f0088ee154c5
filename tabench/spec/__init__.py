"""Experiment files and the frozen cells they expand to. No torch."""
