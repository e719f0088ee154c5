"""Drawings for pages in a third of their bytes: the same strokes, written shorter.

Matplotlib spells out every style, every name and every coordinate; ten figures of a page would be a
megabyte of them. Nothing visible changes: coordinates keep a tenth of a point, places of letters a
hundredth of their size.
"""

from __future__ import annotations

import base64
import io
import re
from collections import Counter
from collections.abc import Iterator
from functools import lru_cache

from PIL import Image

from tabench.report.figures.pictures import data_uri, packed

_PREFACE = re.compile(r"<\?xml.*?\?>|<!DOCTYPE.*?>|<!--.*?-->|<metadata>.*?</metadata>", re.DOTALL)
_XLINK = re.compile(r'xlink:(?=href=)|\sxmlns:xlink="[^"]*"')
_PATH = re.compile(r'\sd="([MLQCz\d.\s-]*)"(\s*transform="scale\(0\.015625\)")?')  # letters have the scale
_STEP = re.compile(r"([MLQCz])([^MLQCz]*)")
_STYLE = re.compile(r' style="([^"]*)"')
_NAME = re.compile(r' id="([^"]*)"')
_USED = re.compile(r"(?<=href=\"#)[\w.-]+|(?<=url\(#)[\w.-]+")
_SHIFTED = re.compile(r' transform="translate\((-?[\d.]+) 0(?:\.0*)?\)"/>')
_PLACED = re.compile(r' (?:transform="(?:translate|rotate)\([^")]*\)|(?:x|y|width|height)="[^"]*")')
_FRACTION = re.compile(r"-?\d+\.\d+(?!\w)")
_EMPTY = re.compile(r"<g>(<[^<>]*/>|)</g>|<g\b[^<>]*/>|<defs/>|<defs></defs>")
_EMBEDDED = re.compile(r'href="data:image/png;base64,\s*([A-Za-z0-9+/=\s]+)"')


def lean(svg: str) -> str:
    """Write a drawing of Matplotlib's shorter, without a change that can be seen.

    Args:
        svg: A whole document; style sheets in it stay.
    """
    svg = _XLINK.sub("", _PREFACE.sub("", svg))
    svg = _EMBEDDED.sub(_repacked, svg)
    svg = _PATH.sub(_shortened, svg)
    svg = re.sub(r">\s+<", "><", re.sub(r"\s*\n\s*", " ", svg)).strip()
    svg = _named(svg)
    svg = _SHIFTED.sub(lambda found: f' x="{round(float(found[1]))}"/>', svg)  # hundredths of a letter's size
    svg = _PLACED.sub(lambda found: _FRACTION.sub(_tenth, found[0]), svg)
    before = ""
    while before != svg:
        before, svg = svg, _EMPTY.sub(lambda found: found[1] or "", svg)
    return _classed(svg)


def _shortened(found: re.Match[str]) -> str:
    """A path; letters, drawn at a thousandth of a point, are put on a grid ten times as wide as theirs."""
    return (
        f' d="{_path(found[1], 0.1)}" transform="scale(.15625)"'
        if found[2]
        else f' d="{_path(found[1], 10)}"'
    )


@lru_cache(maxsize=4096)  # letters come again in every figure
def _path(data: str, scale: float) -> str:
    """Absolute M, L, Q, C and z as steps from where the pen is on the grid, so that errors never add up.

    Args:
        data: The path as Matplotlib writes it.
        scale: Grid lines per unit; the result is in grid lines if below 1, else in units.
    """
    text = str if scale < 1 else _tenths
    pen, start, out = (0, 0), (0, 0), []
    for command, numbers in _STEP.findall(data):
        if command == "z":
            out.append("z")
            pen = start
            continue
        values = [round(scale * float(number)) for number in numbers.split()]
        points = list(zip(values[::2], values[1::2], strict=True))
        steps = [(x - pen[0], y - pen[1]) for x, y in points]
        pen = points[-1]
        if command == "M":
            start = pen
        if command == "L" and 0 in steps[0]:
            across, down = steps[0]
            out.append(f"h{text(across)}" if down == 0 else f"v{text(down)}")
        else:
            out.append(command.lower() + _joined([text(value) for step in steps for value in step]))
    return "".join(out)


def _joined(numbers: list[str]) -> str:
    """Numbers with blanks only where two would run together."""
    return numbers[0] + "".join(n if n.startswith("-") else f" {n}" for n in numbers[1:])


def _tenths(value: int) -> str:
    """Tenths as a decimal number: -5 is "-.5"."""
    whole, tenth = divmod(abs(value), 10)
    digits = f"{whole or ''}.{tenth}" if tenth else str(whole)
    return f"-{digits}" if value < 0 else digits


def _tenth(found: re.Match[str]) -> str:
    return _tenths(round(10 * float(found[0])))


def _named(svg: str) -> str:
    """Only names that something refers to, one or two letters each."""
    used = set(_USED.findall(svg))
    short = dict(zip(sorted(used), _letters(), strict=False))
    svg = _NAME.sub(lambda found: f' id="{short[found[1]]}"' if found[1] in short else "", svg)
    return _USED.sub(lambda found: short.get(found[0], found[0]), svg)


def _classed(svg: str) -> str:
    """Styles that come more than once as classes."""
    styles = [style for style, times in Counter(_STYLE.findall(svg)).most_common() if times > 1]
    short = dict(zip(styles, _letters(), strict=False))
    svg = _STYLE.sub(lambda found: f' class="{short[found[1]]}"' if found[1] in short else found[0], svg)
    rules = "".join(f".{name}{{{_tight(style)}}}" for style, name in short.items())
    return svg.replace("</style>", f"{rules}</style>", 1)


def _tight(style: str) -> str:
    return re.sub(r"\s*([:;])\s*", r"\1", style)


def _letters() -> Iterator[str]:
    """The letters, then aa, ab and so on."""
    alphabet = "abcdefghijklmnopqrstuvwxyz"
    yield from alphabet
    yield from (f"{before}{letter}" for before in _letters() for letter in alphabet)


def _repacked(found: re.Match[str]) -> str:
    """A picture inside a drawing, by the rules of a page's pictures."""
    with Image.open(io.BytesIO(base64.b64decode(found[1]))) as opened:
        return f'href="{data_uri(packed(opened), "webp")}"'
