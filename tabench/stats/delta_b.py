"""Delta_b: the average relative improvement over a baseline, in percent.

Lines of work compute different things under this name, so every variant is named and
versioned, and a report prints which one it used. Higher is better, except where a variant
says otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from types import MappingProxyType
from typing import Final

from tabench.errors import SpecError
from tabench.text import suggestion

Values = Mapping[str, Mapping[str, float]]  # task -> metric -> value
Directions = Mapping[tuple[str, str], str]  # (task, metric) -> "higher" or "lower"


@dataclass(frozen=True)
class Variant:
    """One definition of Delta_b."""

    name: str  # name in reports and options
    version: int  # rises when the definition changes
    formula: str  # the definition, one line
    source: str  # where it is used
    one_metric: bool = False  # takes the first metric of each task instead of the mean over its metrics
    better: str = "higher"  # "higher" or "lower": the direction in which a method is better


_VARIANTS = (
    Variant(
        "libmtl",
        1,
        "100% * 1/T * sum_t 1/M_t * sum_m (-1)^w_tm * (B_tm - N_tm) / B_tm, w = 1 where higher is better",
        "LibMTL",
    ),
    Variant(
        "single-metric",
        1,
        "100% * 1/T * sum_t (-1)^w_t * (B_t - N_t) / B_t on the first metric of each task",
        "Vandenhende et al., MTLoRA",
        one_metric=True,
    ),
    # only the sign is taken over: whether they average inside a task first is not known here
    Variant(
        "flipped",
        1,
        "100% * 1/T * sum_t 1/M_t * sum_m (-1)^w_tm * (N_tm - B_tm) / B_tm, w = 1 where higher is better",
        "the sign convention of Nash-MTL and FAMO",
        better="lower",
    ),
)
VARIANTS: Final = MappingProxyType({variant.name: variant for variant in _VARIANTS})


def delta_b(method: Values, baseline: Values, directions: Directions, variant: str = "libmtl") -> float:
    """Average relative improvement of a method over a baseline.

    `directions` says which metrics enter, in order, and which way each is better. The result is in percent,
    positive where the method is better (negative with a variant whose `better` is "lower"); NaN if a value is
    NaN or a baseline's value is 0, where no relative change is defined. Raises SpecError: an unknown variant
    or direction, no metric, or a metric one of the two lacks.
    """
    if variant not in VARIANTS:
        raise SpecError(f"unknown Delta_b variant '{variant}'", hint=suggestion(variant, VARIANTS))
    if not directions:
        raise SpecError("Delta_b needs at least one metric")
    changes: dict[str, list[float]] = {}
    for (task, metric), better in directions.items():
        if better not in ("higher", "lower"):
            raise SpecError(f"better must be 'higher' or 'lower', not '{better}'", where=f"{task}.{metric}")
        for owner, values in (("method", method), ("baseline", baseline)):
            if metric not in values.get(task, {}):
                raise SpecError(f"the {owner} has no value of this metric", where=f"{task}.{metric}")
        new, old = method[task][metric], baseline[task][metric]
        change = (old - new) / old if old else math.nan
        changes.setdefault(task, []).append(-change if better == "higher" else change)
    if VARIANTS[variant].one_metric:
        changes = {task: values[:1] for task, values in changes.items()}
    sign = 100 if VARIANTS[variant].better == "higher" else -100
    return sign * math.fsum(math.fsum(v) / len(v) for v in changes.values()) / len(changes)
