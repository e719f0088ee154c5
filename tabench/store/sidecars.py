"""What the small files beside a record hold, as far as anything reads it: checked, then left as it is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError, create_model

from tabench.errors import StoreError
from tabench.store.encoding import read_object

HINT = "restore it, or remove it: the record does not need it"
Number = Annotated[float, Field(strict=True, allow_inf_nan=False, ge=-1e18, le=1e18)]
Count = Annotated[int, Field(strict=True, ge=0, lt=2**53)]
TEXTS = dict.fromkeys(("title", "profile", "note", "table", "figure"), (str, ""))


def _schema(title: str, /, **kinds: Any) -> type[BaseModel]:
    """A model of some keys, each of which may be missing or null; all other keys may hold anything."""
    config = ConfigDict(extra="allow", strict=True)
    fields: dict[str, Any] = {
        key: kind if isinstance(kind, tuple) else (kind | None, None) for key, kind in kinds.items()
    }
    return create_model(title, __config__=config, **fields)


_COST = ("stored", "weights_bytes", "train_flops", "inference_flops", "latency_s", "latency_spread_s",
         "train_images_per_s", "eval_images_per_s", "energy_j")  # fmt: skip
_TIMES = ("wall_s", "train_s", "eval_s", "peak_rss_mb", "peak_gpu_mb")

RunSidecar = _schema(
    "run.json",
    **dict.fromkeys(("started", "finished", "device"), str),
    **dict.fromkeys(_TIMES, Number),
    warnings=list[str],
    environment=_schema(
        "environment", packages=dict[str, str | None], git=_schema("git", commit=str, dirty=bool)
    ),
    cost=_schema("cost", **dict.fromkeys(_COST, Number)),
)
FailureSidecar = _schema(
    "failure.json",
    **dict.fromkeys(("kind", "message", "traceback"), str),
    **dict.fromkeys(("attempt", "step"), Count),
    ids=list[str],
)
ExperimentSidecar = _schema(
    "experiment.json",
    name=str,
    **TEXTS,
    report=_schema("report", baselines=list[str], grid=list[str], published=str),
    published=str,
    cells=dict[str, str],
)


def read_sidecar(path: Path, schema: type[BaseModel], hint: str = HINT) -> dict[str, Any]:
    """Read a file and check it, naming the first wrong key; the content is given as it stands."""
    content = read_object(path, hint)
    try:
        schema.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        key = ".".join(str(part) for part in first["loc"] if not isinstance(part, int) or part >= 0)
        raise StoreError(first["msg"], where=f"{path}: {key[:200]}", hint=hint) from error
    return content
