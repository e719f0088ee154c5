"""Figures 1 to 3 and the places: nothing outside the page, no words over words, the right numbers."""

from __future__ import annotations

import json
import shutil
from collections.abc import Callable
from functools import partial
from itertools import combinations
from pathlib import Path
from typing import Any

import matplotlib
import pytest
import report_analysis as beside
import report_fixtures as made
from matplotlib.backends.backend_agg import FigureCanvasAgg
from matplotlib.figure import Figure
from matplotlib.text import Text

from tabench.errors import StoreError
from tabench.report.figures import rank as rank_figure
from tabench.report.figures import style
from tabench.report.figures.architecture import caption, draw_architecture
from tabench.report.figures.diagram import amount
from tabench.report.figures.images import draw_channels
from tabench.report.figures.lora import draw_loras
from tabench.report.records import channels
from tabench.report.records.architecture import Architecture, choose, read_architectures
from tabench.report.records.reading import read_results

TASKS = {"segmentation": 21, "human_parts": 7, "saliency": 1, "normals": 3, "edges": 1, "disparity": 1}


def words(draw: Callable[[], Figure]) -> dict[str, Any]:
    """Text to its box in pixels, drawn in the report's look; all lie inside the figure, none over another."""
    with matplotlib.rc_context(style._settings()):
        figure = draw()
        canvas = FigureCanvasAgg(figure)
        canvas.draw()
    texts = [text for text in figure.findobj(Text) if text.get_text() and text.get_visible()]
    boxes = [(text.get_text(), text.get_window_extent(canvas.get_renderer())) for text in texts]
    width, height = canvas.get_width_height()
    for text, box in boxes:
        assert box.x0 >= -2, text  # hinting moves letters by a pixel or two
        assert box.y0 >= -2, text
        assert box.x1 <= width + 2, text
        assert box.y1 <= height + 2, text
    for (one, a), (two, b) in combinations(boxes, 2):
        across = min(a.x1, b.x1) - max(a.x0, b.x0)
        along = min(a.y1, b.y1) - max(a.y0, b.y0)
        assert across <= 1 or along <= 1, f"'{one}' lies over '{two}'"
    return dict(boxes)


def test_updates_of_other_layers_are_drawn() -> None:
    content = json.loads(json.dumps(beside.ARCHITECTURES["ta-lora"]))
    model = next(iter(content["models"].values()))
    other = {"role": "mlp.lin1", **model["adapted"], "updated": "mlp.lin1", "parameters": 1234}
    model["others"] = [other]
    both = words(partial(draw_architecture, Architecture.model_validate(content)))
    assert any("mlp.lin1: 1,234" in text or "mlp.lin1: 1.2" in text for text in both), list(both)
    model["adapted"] = None
    alone = Architecture.model_validate(content)
    assert words(partial(draw_architecture, alone))
    assert words(partial(draw_loras, [alone]))


def large(method: str, count: int) -> Architecture:
    """The same method at the size of ViT-H with `count` tasks and the default ranks."""
    content = json.loads(json.dumps(beside.ARCHITECTURES[method]))
    content["backbone"] |= {"name": "vit_h", "image_size": 1024, "grid": 64, "depth": 32, "embed_dim": 1280,
                            "out_chans": 256}  # fmt: skip
    tasks = dict(list(TASKS.items())[:count])
    sizes = {
        "ta-lora": {"G": [32, 32, 4], "U1": [1280, 32], "U2": [3840, 32], "U3": [count, 4]},
        "ta-lora-cp": {"w": [32], "A": [1280, 32], "B": [3840, 32], "C": [count, 32]},
        "lora-stl": {"A": [32, 1280], "B": [3840, 32]},
    }[method]
    model = next(iter(content["models"].values()))
    model["adapted"] |= {"inputs": 1280, "outputs": 3840, "factors": sizes, "parameters": 167_948}
    model["parts"]["blocks"]["frozen"] = 629_678_080
    model["parts"]["adapters"]["trained"] = 5_374_336
    units = {task: {task: n} for task, n in tasks.items()} if method == "lora-stl" else {"all": tasks}
    kept = {name: part for name, part in model["parts"].items() if not name.startswith("decoders.")}
    parts = {f"decoders.{task}": {"trained": 3_506_304, "frozen": 0, "idle": 552_036} for task in tasks}
    content["models"] = {
        name: model | {"tasks": unit, "embeddings": {task: [n, 256] for task, n in unit.items()},
                       "parts": kept | parts}
        for name, unit in units.items()
    }  # fmt: skip
    return Architecture.model_validate(content)


@pytest.mark.parametrize("count", [1, 2, 5, 6])
def test_architecture_fits_any_number_of_tasks(count: int) -> None:
    found = words(partial(draw_architecture, large("ta-lora", count)))
    assert "adapters 5.37 M" in found
    assert "G 32 × 32 × 4, U1 1280 × 32, U2 3840 × 32, " + f"U3 {count} × 4" in found
    assert {f"$N_{i}$ = {n}" for i, n in enumerate(list(TASKS.values())[:count], 1)} <= set(found)
    assert "3.51 M" in found
    assert f"{552_036 * count:,} parameters" in caption(large("ta-lora", count))


@pytest.mark.parametrize("count", [1, 3, 6])
def test_factorisations_fit(count: int) -> None:
    found = words(
        partial(draw_loras, [large(method, count) for method in ("lora-stl", "ta-lora", "ta-lora-cp")])
    )
    assert f"1280 × 3840 × {count}, never built" in found
    assert f"= {167_948 * count:,} parameters a layer" in found
    assert "= 167,948 parameters a layer" in found
    small = [
        Architecture.model_validate(beside.ARCHITECTURES[m]) for m in ("lora-stl", "ta-lora", "ta-lora-cp")
    ]
    words(partial(draw_loras, small))
    words(partial(draw_architecture, small[2]))


def test_the_grid_s_last_method_is_drawn_and_others_by_what_they_are(tmp_path: Path) -> None:
    beside.write_analysis(made.write_results(tmp_path, seeds=(0,)))
    results = read_results(tmp_path, "nyuv2")
    found = read_architectures(results)
    assert {method: found[method].factors for method in found} == {
        "ta-lora": "tucker", "ta-lora-cp": "cp", "lora-stl": "lora", "frozen": "",
    }  # fmt: skip
    chosen = choose(results, found, factors="tucker", sharing="task-aware")
    assert chosen is not None
    assert chosen.method.name == "ta-lora"
    assert choose(results, found, factors="lora", sharing="shared") is None


def test_a_damaged_architecture_is_named(tmp_path: Path) -> None:
    folder = made.write_results(tmp_path, seeds=(0,), methods=("ta-lora",), pictures=False)
    path = folder / made.cell_id("ta-lora", 0) / "architecture.json"
    path.write_text(json.dumps(beside.ARCHITECTURES["ta-lora"] | {"models": {}}))
    with pytest.raises(StoreError, match="names no model") as caught:
        read_architectures(read_results(tmp_path, "nyuv2"))
    assert str(path) in str(caught.value)
    path.write_text(json.dumps(beside.ARCHITECTURES["ta-lora"] | {"sam": 1}))
    with pytest.raises(StoreError, match="'sam'"):
        read_architectures(read_results(tmp_path, "nyuv2"))


def test_output_channels_of_the_grid_s_last_method_that_kept_them(tmp_path: Path) -> None:
    folder = made.write_results(tmp_path, seeds=(0,))
    beside.write_analysis(folder)
    found = channels.read_channels(read_results(tmp_path, "nyuv2"))
    assert found is not None
    assert found.cell.method == "ta-lora"
    assert {task: len(shown) for task, shown in found.tasks.items()} == beside.CHANNELS
    assert found.names == {"segmentation": ["bed", "wall"]}
    assert len(found.masks) == 3
    shown = words(partial(draw_channels, found))
    assert {"bed", "wall", "channel 3", "level 3: 1 channel", "(b) mSAM: 2 + 1 + 3 channels"} <= set(shown)
    shutil.rmtree(folder / "truth")
    assert channels.read_channels(read_results(tmp_path, "nyuv2")) is None


def test_a_missing_channel_or_masks_are_not_made_up(tmp_path: Path) -> None:
    folder = made.write_results(tmp_path, seeds=(0,))
    beside.write_analysis(folder)
    next((folder / made.cell_id("ta-lora", 0) / "pictures").glob("channels.*.normals.2.png")).unlink()
    for mask in (folder / "truth").rglob("*.sam_masks.*"):
        mask.unlink()
    results = read_results(tmp_path, "nyuv2")
    found = channels.read_channels(results)
    assert found is not None
    assert found.cell.method == "lora-hps"
    assert found.masks == []
    assert "SAM's own masks were not kept" in channels.caption(results, found)
    words(partial(draw_channels, found))
    broken = folder / made.cell_id("lora-hps", 0) / "pictures" / "channels.val_3.depth.0.png"
    broken.write_bytes(b"not a picture")
    with pytest.raises(StoreError, match="cannot be read as a picture"):
        channels.read_channels(results)


def test_places_leave_out_what_not_all_methods_have(tmp_path: Path) -> None:
    methods = ("ta-lora", "lora-stl", "frozen")
    folder = made.write_results(tmp_path, seeds=(0, 1), methods=methods, pictures=False)
    path = folder / made.cell_id("frozen", 1) / "record.json"
    record = json.loads(path.read_text())
    for metric in record["metrics"]:
        if metric["key"] == "miou":
            metric["value"] = None
    path.write_text(json.dumps(record))
    results = read_results(tmp_path, "nyuv2")
    found = rank_figure.read_places(results, "paper")
    assert found is not None
    assert (len(found.comparisons), found.left_out) == (17, 1)
    assert all(sum(comparison.values()) == 6 for comparison in found.comparisons)
    assert found.comparisons[0] == {"ta-lora": 1, "lora-stl": 2, "frozen": 3}
    text = rank_figure.caption(results, found, "paper")
    assert "17 comparisons: 9 metrics (2 of segmentation, 2 of depth and 5 of normals" in text
    assert "1 comparison without a value of every method left out" in text
    words(partial(rank_figure.draw_places, results, found))


def test_values_that_print_alike_share_their_place(tmp_path: Path) -> None:
    folder = made.write_results(tmp_path, seeds=(0,), methods=("ta-lora", "frozen"), pictures=False)
    for method, value in (("ta-lora", 50.004), ("frozen", 50.001)):
        path = folder / made.cell_id(method, 0) / "record.json"
        record = json.loads(path.read_text())
        record["metrics"] = [m | {"value": value} for m in record["metrics"] if m["key"] == "miou"]
        path.write_text(json.dumps(record))
    found = rank_figure.read_places(read_results(tmp_path, "nyuv2"), "paper")
    assert found is not None
    assert found.comparisons == [{"ta-lora": 1.5, "frozen": 1.5}]


def test_one_method_has_no_place(tmp_path: Path) -> None:
    made.write_results(tmp_path, seeds=(0,), methods=("ta-lora",), pictures=False)
    assert rank_figure.read_places(read_results(tmp_path, "nyuv2"), "paper") is None


@pytest.mark.parametrize(
    ("count", "text"), [(0, "0"), (640, "640"), (5120, "5.12 k"), (3_244_320, "3.24 M"), (1.2e9, "1.2 G")]
)
def test_amounts(count: int, text: str) -> None:
    assert amount(count) == text


def test_drawing_leaves_the_settings_alone() -> None:
    before = dict(matplotlib.rcParams)
    draw_architecture(large("ta-lora", 2))
    assert dict(matplotlib.rcParams) == before
