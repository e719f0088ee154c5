"""Intervals, paired tests and Delta_b. No torch."""
