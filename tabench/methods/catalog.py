"""The seven methods of the benchmark: pairs of a parametrisation and a sharing scheme.

Ranks and scale of TA-LoRA follow the released code of its successor; the LoRA
baselines' ranks are not known from the papers and are this project's choice (32 = p = q).
"""

from __future__ import annotations

from typing import Final

from tabench.methods.base import ROLES, Method, Value

_LOW_RANK, _FREEZING = "tabench.methods.low_rank", "tabench.methods.freezing"
_FULL: Final[dict[str, Value]] = {"encoder_lr": 1.0}
_ADAPTER: Final[dict[str, Value]] = {"scale": 0.5, "dropout": 0.1, "targets": "qkv", **_FULL}
_LORA: Final[dict[str, Value]] = {"rank": 32, **_ADAPTER}
TA_LORA = Method(
    "ta-lora",
    "TA-LoRA (Tucker)",
    f"{_LOW_RANK}:adapt_tucker",
    "task-aware",
    {"ranks": (32, 32, 4), "orthogonality": 1.0, "regularise": "U1,U2,G", **_ADAPTER},
    parameter_formula="dp + kq + Tv + pqv",
    roles=ROLES,
    lengths={"ranks": 3},
    merges=True,
)
TA_LORA_CP = Method(
    "ta-lora-cp",
    "TA-LoRA (CP)",
    f"{_LOW_RANK}:adapt_cp",
    "task-aware",
    {"rank": 32, "orthogonality": 1.0, **_ADAPTER},
    rank_letter="R",
    parameter_formula="R\\,(d + k + T) + R",
    roles=ROLES,
    merges=True,
)
LORA_STL = Method(
    "lora-stl",
    "LoRA-STL",
    f"{_LOW_RANK}:adapt_lora",
    "per-task",
    _LORA,
    parameter_formula="T r (d + k)",
    roles=ROLES,
    merges=True,
)
LORA_HPS = Method(
    "lora-hps",
    "LoRA-HPS",
    f"{_LOW_RANK}:adapt_lora",
    "shared",
    _LORA,
    parameter_formula="r (d + k)",
    roles=ROLES,
    merges=True,
)
FULL_STL = Method(
    "full-stl", "Full fine-tuning STL", f"{_FREEZING}:train_all", "per-task", _FULL, trains_encoder=True
)
FULL_HPS = Method(
    "full-hps", "Full fine-tuning HPS", f"{_FREEZING}:train_all", "shared", _FULL, trains_encoder=True
)
FROZEN = Method("frozen", "Frozen encoder", f"{_FREEZING}:train_nothing", "shared")
