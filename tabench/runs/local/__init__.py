"""Cells on this machine: in this process, a pool of processes, or several processes for one cell."""
