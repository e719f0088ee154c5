"""Parameters of adapters by arithmetic alone, as functions of the number of tasks T."""

from __future__ import annotations


def tucker_parameters(d: int, k: int, tasks: int, ranks: tuple[int, int, int]) -> int:
    """A Tucker-factored update of one layer: d*p + k*q + T*v + p*q*v."""
    p, q, v = ranks
    return d * p + k * q + tasks * v + p * q * v


def lora_parameters(d: int, k: int, tasks: int, rank: int) -> int:
    """One LoRA a task on one layer: T*r*(d + k)."""
    return tasks * rank * (d + k)
