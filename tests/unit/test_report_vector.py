"""Shortened drawings: the same strokes at the same places, in fewer bytes."""

from __future__ import annotations

import re
import xml.etree.ElementTree as ElementTree

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from matplotlib.figure import Figure

from tabench.report.figures import style
from tabench.report.figures.vector import lean

Points = list[tuple[float, float]]
VALUES = st.floats(-2000, 2000).map(lambda value: round(value, 2))
POINTS = st.lists(st.tuples(VALUES, VALUES), min_size=1, max_size=30)


def strokes(data: str) -> Points:
    """Where the pen of a path comes by: an independent reading of relative and absolute steps."""
    pen, start, found = np.zeros(2), np.zeros(2), []
    for command, text in re.findall(r"([a-zA-Z])([^a-zA-Z]*)", data):
        numbers = [float(number) for number in re.findall(r"-?(?:\d+\.?\d*|\.\d+)", text)]
        base = pen if command.islower() else np.zeros(2)
        if command in "zZ":
            pen = start
            continue
        if command in "hv":
            numbers = [numbers[0], 0.0] if command == "h" else [0.0, numbers[0]]
        steps = [base + point for point in np.reshape(numbers, (-1, 2))]
        found += [tuple(step) for step in steps]
        pen = steps[-1]
        if command in "mM":
            start = pen
    return found


def document(data: str) -> str:
    return f'<svg><style>a{{}}</style><path d="{data}" style="fill: none"/></svg>'


@given(POINTS, st.booleans())
def test_a_path_stays_within_a_twentieth_of_a_point_of_where_it_was(points: Points, closed: bool) -> None:
    first, *others = points
    data = f"M {first[0]} {first[1]} \n" + "".join(f"L {x} {y} \n" for x, y in others)
    data += f"z\nM {first[0]} {first[1]} \nL 1 1 \n" if closed else ""
    found = re.search(r' d="([^"]*)"', lean(document(data)))
    assert found is not None
    assert np.allclose(strokes(found[1]), strokes(data), atol=0.0501, rtol=0)


def test_curves_keep_their_control_points() -> None:
    data = "M 1 2 \nQ 3.5 4 5 6 \nC 7 8 9.25 10 11 12 \nz\n"
    found = re.search(r' d="([^"]*)"', lean(document(data)))
    assert found is not None
    assert np.allclose(strokes(found[1]), strokes(data), atol=0.0501, rtol=0)
    assert [letter for letter in found[1] if letter.isalpha()] == list("mqcz")


@pytest.fixture(scope="module")
def drawing() -> str:
    def draw() -> Figure:
        figure = Figure(figsize=(4, 3))
        axes = figure.subplots()
        axes.plot([0, 1, 2], [3, 1, 2], color="#d55e00", label="be #1 & <two>")
        axes.plot([0, 1, 2], [1, 1, 2], color="#aabbcc")
        axes.imshow(np.arange(12).reshape(3, 4), extent=(0, 1, 0, 1))
        axes.legend()
        return figure

    return style.drawn(draw).svg.decode()


def test_every_reference_has_its_target_and_every_name_is_used(drawing: str) -> None:
    root = ElementTree.fromstring(drawing)
    names = [element.get("id") for element in root.iter() if element.get("id")]
    text = " ".join(value for element in root.iter() for value in element.attrib.values())
    referred = set(re.findall(r"(?:^|[ (])#([a-z]{1,2})\b", text))
    assert sorted(names) == sorted(referred)
    classes = {str(element.get("class")) for element in root.iter() if element.get("class")}
    assert classes <= set(re.findall(r"\.([a-z]+)\{", drawing))


def test_colours_survive_and_ink_follows_the_scheme(drawing: str) -> None:
    assert "stroke:#d55e00" in drawing
    assert "#aabbcc" in drawing
    assert "fill:var(--c0)" in drawing
    assert "prefers-color-scheme:dark" in drawing


def test_a_picture_inside_is_packed(drawing: str) -> None:
    assert "data:image/webp;base64," in drawing
    assert "image/png" not in drawing
