"""The seven methods of the benchmark: pairs of a parametrisation and a sharing scheme.

Ranks and scale of TA-LoRA follow the released code of its successor; the LoRA
baselines' ranks are not known from the papers and are this project's choice (32 = p = q).
"""

from __future__ import annotations

from typing import Final

from tabench.methods.base import Method, Value

# the loop reads `encoder_lr`: learning rate of the encoder as a multiple of the recipe's
_FULL: Final[dict[str, Value]] = {"encoder_lr": 1.0}
_ADAPTER: Final[dict[str, Value]] = {"scale": 0.5, "dropout": 0.1, "targets": "qkv", **_FULL}
_LORA: Final[dict[str, Value]] = {"rank": 32, **_ADAPTER}
TA_LORA = Method(
    "ta-lora",
    "TA-LoRA (Tucker)",
    "tabench.methods.ta_lora:adapt_tucker",
    "task-aware",
    {"ranks": (32, 32, 4), "orthogonality": 1.0, "regularise": "U1,U2,G", **_ADAPTER},
    parameter_formula="dp + kq + Tv + pqv",
)
TA_LORA_CP = Method(
    "ta-lora-cp",
    "TA-LoRA (CP)",
    "tabench.methods.ta_lora:adapt_cp",
    "task-aware",
    {"rank": 32, "orthogonality": 1.0, **_ADAPTER},
    rank_letter="R",
    parameter_formula="R\\,(d + k + T) + R",
)
LORA_STL = Method(
    "lora-stl", "LoRA-STL", "tabench.methods.lora:adapt", "per-task", _LORA, parameter_formula="T r (d + k)"
)
LORA_HPS = Method(
    "lora-hps", "LoRA-HPS", "tabench.methods.lora:adapt", "shared", _LORA, parameter_formula="r (d + k)"
)
FULL_STL = Method(
    "full-stl", "Full fine-tuning STL", "tabench.methods.full:adapt", "per-task", _FULL, trains_encoder=True
)
FULL_HPS = Method(
    "full-hps", "Full fine-tuning HPS", "tabench.methods.full:adapt", "shared", _FULL, trains_encoder=True
)
FROZEN = Method("frozen", "Frozen encoder", "tabench.methods.frozen:adapt", "shared")
