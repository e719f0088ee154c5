"""The qualitative grid: which pictures stand where, and which windows get a white box."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt
from PIL import Image

from tabench.report.records.reading import CellResult, Results
from tabench.store.folders import ExperimentFolder, file_stem

Pixels = npt.NDArray[np.uint8]
ErrorMap = npt.NDArray[np.float64]

IMAGE_RULE = (
    "Images stand at evenly spaced positions of the evaluation split, fixed before any result was known."
)


@dataclass(frozen=True)
class Box:
    """A window, in pixels, and by how much the last method's mean error is smaller there."""

    top: int
    left: int
    height: int
    width: int
    gain: float


@dataclass(frozen=True)
class Row:
    """One image in one task.

    Attributes:
        image: Image id.
        task: Task name.
        truth: Coloured target (H, W, 3), None if not saved.
        predictions: Row key of a method to its coloured prediction; absent if not saved.
        box: Where the last method is better by the most, None if nowhere.
    """

    image: str
    task: str
    truth: Pixels | None
    predictions: Mapping[str, Pixels]
    box: Box | None


@dataclass(frozen=True)
class Grid:
    """Figure 4.

    Attributes:
        methods: Row keys of the method columns; the last one is compared with the others.
        seed: Seed of the runs shown.
        inputs: Image id to the input picture; absent if not saved.
        rows: Images outer, tasks inner.
        legends: Task to class colours.
    """

    methods: Sequence[str]
    seed: int
    inputs: Mapping[str, Pixels]
    rows: Sequence[Row]
    legends: Mapping[str, Mapping[str, Sequence[int]]]

    @property
    def images(self) -> dict[str, list[Row]]:
        """Image id to its rows, in order."""
        images: dict[str, list[Row]] = {}
        for row in self.rows:
            images.setdefault(row.image, []).append(row)
        return images


def best_window(errors: ErrorMap, baselines: Sequence[ErrorMap]) -> Box | None:
    """Find the window in which a method beats every baseline by the most.

    Windows are a quarter of the height by a quarter of the width, at a stride of a sixteenth.

    Args:
        errors: (H, W) error of the method, lower is better.
        baselines: (H, W) errors of the methods it is compared with.

    Returns:
        The first window with the largest (smallest mean error of the baselines) - (mean error of the
        method), or None if that is nowhere positive.
    """
    if not baselines:
        return None
    height, width = errors.shape
    size = (max(1, height // 4), max(1, width // 4))
    stride = (max(1, height // 16), max(1, width // 16))
    gain = np.min([_window_means(b, size, stride) for b in baselines], axis=0) - _window_means(
        errors, size, stride
    )
    row, column = np.unravel_index(int(np.argmax(gain)), gain.shape)
    best = float(gain[row, column])
    # error maps are 8 bit: a smaller difference is rounding
    if best <= 1e-9:
        return None
    return Box(int(row) * stride[0], int(column) * stride[1], *size, best)


def read_grid(results: Results) -> Grid | None:
    """Read the saved pictures of the grid's methods; None if no finished run saved any.

    The runs of the lowest seed that every method of the grid has finished are shown.
    """
    named = (results.row(str(name)) for name in results.report.get("grid") or [])
    methods = [row for row in named if row is not None and results.of(row)]
    shared = set.intersection(*({c.seed or 0 for c in results.of(m)} for m in methods)) if methods else set()
    if not shared:
        return None
    seed = min(shared)
    cells = {m: next(c for c in results.of(m) if c.seed == seed) for m in methods}
    record = cells[methods[-1]].record
    if not record["pictures"]:
        return None
    truth = ExperimentFolder(results.root, results.name).truth(cells[methods[-1]].content)
    tasks = record["cell"]["dataset"]["tasks"]
    images = [str(picture["id"]) for picture in record["pictures"]]
    inputs = {image: _picture(truth / f"{file_stem(image)}.input.png") for image in images}
    rows = [_row(cells, image, task, truth) for image in images for task in tasks]
    return Grid(methods, seed, {k: v for k, v in inputs.items() if v is not None}, rows, record["legends"])


def caption(results: Results, grid: Grid) -> str:
    """What the grid shows, with the image rule and the box rule."""
    last = results.title(grid.methods[-1])
    others = ", ".join(results.title(method) for method in grid.methods[:-1])
    rule = (
        "White boxes: of all windows of a quarter of the height by a quarter of the width (stride one "
        f"sixteenth), the one in which the mean error of {last} is below the smallest mean error of {others} "
        "by the most; no box where it is nowhere below."
    )
    return f"Predictions with seed {grid.seed}. {IMAGE_RULE} {rule if others else ''}".strip()


def _row(cells: Mapping[str, CellResult], image: str, task: str, truth: Path) -> Row:
    predictions: dict[str, Pixels] = {}
    errors: dict[str, ErrorMap] = {}
    for method, cell in cells.items():
        saved: dict[str, dict[str, str]] = next(
            (p["files"] for p in cell.record["pictures"] if p["id"] == image), {}
        )
        files = saved.get(task, {})
        picture = _picture(cell.folder / "pictures" / files["pred"]) if "pred" in files else None
        if picture is not None:
            predictions[method] = picture
        wrong = cell.folder / "pictures" / files["error"] if "error" in files else None
        if wrong is not None and wrong.is_file():
            with Image.open(wrong) as opened:
                errors[method] = np.asarray(opened.convert("L"), dtype=np.float64) / 255
    *baselines, last = cells
    whole = len(errors) == len(cells) and len({e.shape for e in errors.values()}) == 1
    box = best_window(errors[last], [errors[b] for b in baselines]) if whole else None
    return Row(image, task, _picture(truth / f"{file_stem(image)}.{task}.png"), predictions, box)


def _window_means(values: ErrorMap, size: tuple[int, int], stride: tuple[int, int]) -> ErrorMap:
    windows = np.lib.stride_tricks.sliding_window_view(values, size)[:: stride[0], :: stride[1]]
    means: ErrorMap = windows.mean(axis=(2, 3))
    return means


def _picture(path: Path) -> Pixels | None:
    if not path.is_file():
        return None
    with Image.open(path) as opened:
        return np.asarray(opened.convert("RGB"))
