"""LoRA, and TA-LoRA: one stacked update for all tasks, factored by Tucker or CP (arXiv 2403.10971)."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from torch import nn

from tabench.errors import SpecError
from tabench.methods.base import Value
from tabench.methods.factors import CPFactors, Factors, LoRAFactors, TuckerFactors
from tabench.methods.freezing import train_norms_only
from tabench.methods.injection import TaskFold, inject, positive

_REGULARISABLE = ("U1", "U2", "G")


def adapt_lora(encoder: nn.Module, num_tasks: int, params: Mapping[str, Value]) -> None:
    """Give every chosen layer one LoRA, whatever the number of tasks; train it and the block norms."""
    rank = positive(params["rank"], "rank")
    train_norms_only(encoder)
    inject(encoder, TaskFold(1), params, lambda d, k: LoRAFactors(d, k, rank))


def adapt_tucker(encoder: nn.Module, num_tasks: int, params: Mapping[str, Value]) -> None:
    """Give every chosen layer a Tucker update for T tasks; train it and the block norms.

    The encoder is from now on fed (T*B, ...), task-major. `params` are "ranks" (p, q, v), "regularise"
    (comma-separated), and those of `inject`.

    Raises:
        SpecError: A hyper-parameter out of range.
    """
    ranks = params["ranks"]
    if not isinstance(ranks, tuple) or len(ranks) != 3:
        raise SpecError(f"expected three ranks (p, q, v), got {ranks!r}", where="method.params.ranks")
    p, q, v = (positive(rank, "ranks") for rank in ranks)
    names = tuple(name.strip() for name in str(params["regularise"]).split(",") if name.strip())
    if not set(names) <= set(_REGULARISABLE) or len(set(names)) != len(names):
        raise SpecError(
            f"cannot regularise '{params['regularise']}'",
            where="method.params.regularise",
            hint=f"a comma-separated choice of {', '.join(_REGULARISABLE)}; empty for none",
        )
    _adapt(encoder, num_tasks, params, lambda d, k: TuckerFactors(d, k, num_tasks, (p, q, v), names))


def adapt_cp(encoder: nn.Module, num_tasks: int, params: Mapping[str, Value]) -> None:
    """The same with a CP update of rank "rank"; its A and B are regularised."""
    rank = positive(params["rank"], "rank")
    _adapt(encoder, num_tasks, params, lambda d, k: CPFactors(d, k, num_tasks, rank))


def _adapt(
    encoder: nn.Module, num_tasks: int, params: Mapping[str, Value], make: Callable[[int, int], Factors]
) -> None:
    fold = TaskFold(num_tasks)
    train_norms_only(encoder)  # before the factors are there, which it would freeze
    inject(encoder, fold, params, make)
    encoder.task_fold = fold  # type: ignore[assignment]  # read by the model that owns the encoder
