"""Cells on a Slurm cluster: what is asked for, what was submitted, and what a task does."""
