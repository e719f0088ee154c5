from __future__ import annotations

import io

import numpy as np
import pytest
from PIL import Image

from tabench.engine.pictures import merge_pictures, png, positions


@pytest.mark.parametrize(
    ("count", "wanted", "expected"), [(32, 3, [5, 16, 26]), (2, 3, [0, 1]), (5, 1, [2]), (4, 0, [])]
)
def test_positions_are_the_middles_of_equal_parts(count: int, wanted: int, expected: list[int]) -> None:
    assert positions(count, wanted) == expected


@pytest.mark.parametrize("colours", [1, 2, 13, 256, 4000])
def test_png_is_lossless(colours: int) -> None:
    generator = np.random.default_rng(0)
    palette = generator.integers(0, 256, (colours, 3), dtype=np.uint8)
    pixels = palette[generator.integers(0, colours, (40, 60))]
    image = Image.open(io.BytesIO(png(pixels)))
    assert image.mode == ("P" if colours <= 256 else "RGB")
    assert np.array_equal(np.asarray(image.convert("RGB")), pixels)


def test_grey_stays_grey() -> None:
    pixels = np.arange(60, dtype=np.uint8).reshape(6, 10)
    image = Image.open(io.BytesIO(png(pixels)))
    assert image.mode == "L"
    assert np.array_equal(np.asarray(image), pixels)


def test_units_of_one_image_are_merged() -> None:
    parts = [
        [{"id": "val/0", "files": {"depth": {"pred": "a", "error": "b"}}}],
        [{"id": "val/0", "files": {"normals": {"pred": "c", "error": "d"}}}],
    ]
    (entry,) = merge_pictures(parts)
    assert set(entry["files"]) == {"depth", "normals"}
