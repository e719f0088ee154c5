"""What the runs wrote about their models (architecture.json), and which of them the diagrams show."""

from __future__ import annotations

from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, ValidationError

from tabench.errors import StoreError
from tabench.report.records.reading import Results
from tabench.store.encoding import read_json

_FIX = "remove the file (the report works without it), or remove the cell's folder and run it again"


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Method(_Part):
    """How the models are adapted and shared."""

    name: str
    title: str
    sharing: Literal["per-task", "shared", "task-aware"]


class Backbone(_Part):
    """Sizes of the SAM variant, in pixels, tokens and channels."""

    name: str
    image_size: int
    patch_size: int
    grid: int
    depth: int
    embed_dim: int
    global_blocks: int
    window_size: int
    out_chans: int


class Sam(_Part):
    """The promptable SAM: parameters of its parts, and the masks that one prompt gives."""

    parameters: dict[str, int]
    masks: int


class Amount(_Part):
    """Parameters of one part of a model by what happens to them."""

    trained: int
    frozen: int
    idle: int

    @property
    def total(self) -> int:
        """All of them."""
        return self.trained + self.frozen + self.idle


class Adapted(_Part):
    """One of the adapted layers, which are all alike, and how many there are."""

    layers: int
    inputs: int
    outputs: int
    updated: str
    scale: float
    factors: dict[str, list[int]]
    parameters: int


class Other(Adapted):
    """The same of layers of another role than q, k and v."""

    role: str


class Model(_Part):
    """One model: its tasks with their channels, embeddings, parts and adapted layers."""

    tasks: dict[str, int]
    embeddings: dict[str, list[int]]
    parts: dict[str, Amount]
    groups: dict[str, int]
    adapted: Adapted | None
    others: list[Other] = []

    @property
    def drawn(self) -> Adapted | None:
        """The adapted layers whose factors are drawn: those of q, k and v if there are any."""
        return self.adapted or next(iter(self.others), None)

    def part(self, name: str) -> Amount:
        """A part, empty if the model has none of it."""
        return self.parts.get(name, Amount(trained=0, frozen=0, idle=0))


class Architecture(_Part):
    """The content of architecture.json."""

    architecture_version: Literal[1]
    method: Method
    backbone: Backbone
    sam: Sam
    models: dict[str, Model]

    @property
    def factors(self) -> str:
        """Word of the factorisation, by the names of its parameters: "tucker", "cp", "lora" or ""."""
        adapted = next(iter(self.models.values())).drawn
        names = set(adapted.factors) if adapted else set()
        known = {"tucker": {"G", "U1", "U2", "U3"}, "cp": {"w", "A", "B", "C"}, "lora": {"A", "B"}}
        return next((kind for kind, expected in known.items() if names == expected), "")


def read_architectures(results: Results) -> dict[str, Architecture]:
    """Row key to the architecture of its first run that wrote one, in table order.

    Raises:
        StoreError: A file is damaged or of another version.
    """
    found = {}
    for method in results.methods:
        for cell in results.of(method):
            path = cell.folder / "architecture.json"
            if path.is_file():
                found[method] = _read(path)
                break
    return found


def choose(
    results: Results, found: dict[str, Architecture], *, factors: str, sharing: str
) -> Architecture | None:
    """The architecture to draw: the last method of the grid if it fits, else the first that does."""
    grid = results.report.get("grid") or []
    rows = (results.row(str(name)) for name in reversed(grid))
    order = [*(row for row in rows if row is not None), *found]
    fits = (found[m] for m in order if m in found and found[m].factors == factors)
    return next((a for a in fits if a.method.sharing == sharing), None)


def _read(path: Path) -> Architecture:
    try:
        file = Architecture.model_validate(read_json(path, hint=_FIX))
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        raise StoreError(f"'{key}': {first['msg']}", where=str(path), hint=_FIX) from error
    if not file.models:
        raise StoreError("names no model", where=str(path), hint=_FIX)
    return file
