"""What the small files beside a record hold, as far as anything reads it: checked, then left as it is."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from tabench.errors import StoreError
from tabench.store.encoding import read_object

HINT = "restore it, or remove it: the record does not need it"
Number = Annotated[float, Field(strict=True, allow_inf_nan=False, ge=-1e18, le=1e18)]
Count = Annotated[int, Field(strict=True, ge=0, lt=2**53)]


class _Part(BaseModel):
    """Base of the schemas: keys that nothing reads may hold anything."""

    model_config = ConfigDict(extra="allow", strict=True)


class _Cost(_Part):
    stored: Number | None = None
    weights_bytes: Number | None = None
    train_flops: Number | None = None
    inference_flops: Number | None = None
    latency_s: Number | None = None
    latency_spread_s: Number | None = None
    train_images_per_s: Number | None = None
    eval_images_per_s: Number | None = None
    energy_j: Number | None = None


class _Git(_Part):
    commit: str | None = None
    dirty: bool | None = None


class _Environment(_Part):
    packages: dict[str, str | None] | None = None
    git: _Git | None = None


class RunSidecar(_Part):
    """run.json."""

    started: str | None = None
    finished: str | None = None
    wall_s: Number | None = None
    train_s: Number | None = None
    eval_s: Number | None = None
    peak_rss_mb: Number | None = None
    peak_gpu_mb: Number | None = None
    device: str | None = None
    warnings: list[str] | None = None
    environment: _Environment | None = None
    cost: _Cost | None = None


class FailureSidecar(_Part):
    """failure.json."""

    kind: str | None = None
    message: str | None = None
    traceback: str | None = None
    attempt: Count | None = None
    step: Count | None = None
    ids: list[str] | None = None


class _Report(_Part):
    baselines: list[str] | None = None
    grid: list[str] | None = None
    published: str | None = None


class ExperimentSidecar(_Part):
    """experiment.json."""

    name: str | None = None
    title: str = ""
    profile: str = ""
    note: str = ""
    table: str = ""
    figure: str = ""
    report: _Report | None = None
    published: str | None = None
    cells: dict[str, str] | None = None


def read_sidecar(path: Path, schema: type[BaseModel], hint: str = HINT) -> dict[str, Any]:
    """Read a file and check it; the content is given as it stands.

    Raises:
        StoreError: It is not whole, or a value is of another type; names the file and the key.
    """
    content = read_object(path, hint)
    try:
        schema.model_validate(content)
    except ValidationError as error:
        first = error.errors(include_url=False, include_input=False)[0]
        key = ".".join(str(part) for part in first["loc"] if not isinstance(part, int) or part >= 0)
        raise StoreError(first["msg"], where=f"{path}: {key[:200]}", hint=hint) from error
    return content
