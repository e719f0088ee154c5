"""A record: the whole outcome of a cell, the same bit for bit however often its run was interrupted."""

from __future__ import annotations

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Annotated, Any, Literal, Self

from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    SerializerFunctionWrapHandler,
    ValidationError,
    model_serializer,
    model_validator,
)

from tabench.errors import StoreError
from tabench.spec.cell import Cell
from tabench.store.encoding import AGAIN, dumps, read_bytes, read_json, significant, wrong_key

RECORD_VERSION = 1
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
FileName = Annotated[str, Field(pattern=r"^[^/\\:]*[^/\\:.][^/\\:]*$")]  # stays in its folder
RGB = tuple[int, int, int]


class Part(BaseModel):
    """Base of a record's parts: immutable, and a key it does not know is an error."""

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class DataFacts(Part):
    """The data as it was found; `size` is (H, W) in pixels."""

    name: str
    title: str
    synthetic: bool
    fingerprint: str
    counts: dict[str, int]
    size: tuple[int, int]
    classes: tuple[str, ...]


class BackboneFacts(Part):
    """The pretrained weights."""

    name: str
    sha256: str
    note: str


class Parameters(Part):
    """Numbers of parameters; `trained` leaves out `idle` ones, which never receive a gradient."""

    groups: dict[str, int]
    trained: int
    idle: int
    idle_names: tuple[str, ...]
    frozen: int
    total: int


class Metric(Part):
    """One value of one task's metric in one protocol; None where the protocol defines none."""

    task: str
    key: str
    title: str
    unit: str
    better: Literal["higher", "lower"]
    digits: int
    protocol: str
    version: int
    value: float | None
    notes: tuple[str, ...]


class PerImage(Part):
    """Task to metric to one value an image, in the order of `ids`."""

    ids: tuple[str, ...]
    values: dict[str, dict[str, list[float | None]]]

    @model_validator(mode="after")
    def _one_value_an_image(self) -> Self:
        for task, metrics in self.values.items():
            for key, values in metrics.items():
                if len(values) != len(self.ids):
                    raise ValueError(f"{task}.{key} has {len(values)} values for {len(self.ids)} images")
        return self


class Spread(Part):
    """Variance inside an image of a task's predicted maps and of its targets, means over images."""

    predicted: float
    target: float


class TrainPoint(Part):
    """Means over one epoch's steps."""

    unit: str
    epoch: int
    step: int
    lr: float
    loss: float | None
    terms: dict[str, float | None]


class EvalPoint(Part):
    """One metric after one epoch."""

    epoch: int
    task: str
    key: str
    protocol: str
    value: float | None


class Curves(Part):
    """How training went."""

    train: tuple[TrainPoint, ...]
    eval: tuple[EvalPoint, ...]


class Selection(Part):
    """Which weights the metrics are of."""

    rule: str
    epoch: int | dict[str, int]


class PictureFiles(Part):
    """Files under the cell's pictures/."""

    pred: FileName
    error: FileName


class Picture(Part):
    """One image's pictures, task by task."""

    id: str
    files: dict[str, PictureFiles]


class Record(Part):
    """The content of record.json, version 1."""

    record_version: Literal[1]
    cell_id: str
    cell: Cell
    label: str
    data: DataFacts
    backbone: BackboneFacts
    parameters: Parameters
    metrics: tuple[Metric, ...]
    per_image: PerImage
    spread: dict[str, Spread] = {}  # task to it; empty in records that are older
    curves: Curves
    selection: Selection
    pictures: tuple[Picture, ...]
    legends: dict[str, dict[str, RGB]]
    weights_sha256: Sha256

    @model_validator(mode="after")
    def _id_is_the_cells(self) -> Self:
        if self.cell_id != self.cell.id:
            raise ValueError(f"cell_id is {self.cell_id} but the cell's own id is {self.cell.id}")
        return self

    @model_serializer(mode="wrap")
    def _as_before_there_was_more(self, write: SerializerFunctionWrapHandler) -> dict[str, Any]:
        written: dict[str, Any] = write(self)
        if not self.spread:  # an older record keeps its bytes
            written.pop("spread", None)
        return written


def rounded(value: Any) -> Any:
    """Round all floats of a JSON value to 8 significant digits; NaN and infinities become None."""
    if isinstance(value, float):
        return significant(value) if math.isfinite(value) else None
    if isinstance(value, Mapping):
        return {key: rounded(item) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [rounded(item) for item in value]
    return value


def record_bytes(path: Path, content: Mapping[str, Any]) -> bytes:
    """The bytes of record.json, checked and the same for equal content; all but the cell is rounded."""
    exact = {key: item if key == "cell" else rounded(item) for key, item in content.items()}
    try:
        record = Record.model_validate(exact)
    except ValidationError as error:
        raise _explain(error, path, exact) from error
    return dumps(record.model_dump(mode="json")).encode()


def load_record(path: str | Path) -> Record:
    """Read and check a record."""
    path = Path(path)
    try:
        return Record.model_validate_json(read_bytes(path))
    except ValidationError as error:
        raise _explain(error, path, read_json(path)) from error


def _explain(error: ValidationError, path: Path, content: object) -> StoreError:
    version = content.get("record_version") if isinstance(content, dict) else None
    if isinstance(version, int) and version > RECORD_VERSION:
        message = f"record version {version} is newer than this tabench reads ({RECORD_VERSION})"
        return StoreError(message, where=str(path), hint="upgrade tabench")
    return wrong_key(error, path, AGAIN)
