"""Drawings for pages in less than half of their bytes: the same strokes, written shorter.

Matplotlib spells out every style, every name and every coordinate; ten figures of a page would be a
megabyte of them. Nothing visible changes: coordinates keep a tenth of a point.
"""

from __future__ import annotations

import base64
import io
import re
from collections import Counter
from collections.abc import Iterator

from PIL import Image

from tabench.report.figures.pictures import data_uri, packed

_PREFACE = re.compile(r"<\?xml.*?\?>|<!DOCTYPE.*?>|<!--.*?-->|<metadata>.*?</metadata>", re.DOTALL)
_XLINK = re.compile(r'xlink:(?=href=)|\sxmlns:xlink="[^"]*"')
_STYLE = re.compile(r' style="([^"]*)"')
_NAME = re.compile(r' id="([^"]*)"')
_USED = re.compile(r"(?<=href=\"#)[\w.-]+|(?<=url\(#)[\w.-]+")
# coordinates: of paths in points, of what is moved, and of pictures; letters are scaled and stay as they are
_PLACED = re.compile(
    r' (?:d="[^"]*"(?!\s*transform="scale)|transform="(?:translate|rotate)\([^")]*\)'
    r'|(?:x|y|width|height)="[^"]*")'
)
_SHIFTED = re.compile(r' transform="translate\((-?[\d.]+) 0(?:\.0*)?\)"/>')
_FRACTION = re.compile(r"-?\d+\.\d+(?!\w)")
_BREAK = re.compile(r"(?<=[MLQCz\d]) ?\n ?|(?<=[MLQC]) | (?=-)")
_EMBEDDED = re.compile(r'href="data:image/png;base64,\s*([A-Za-z0-9+/=\s]+)"')


def lean(svg: str) -> str:
    """Write a drawing of Matplotlib's shorter, without a change that can be seen.

    Args:
        svg: A whole document; style sheets in it stay.
    """
    svg = _EMBEDDED.sub(_repacked, _XLINK.sub("", _PREFACE.sub("", svg)))
    svg = _SHIFTED.sub(lambda found: f' x="{round(float(found[1]))}"/>', svg)  # hundredths of a letter's size
    svg = _PLACED.sub(lambda found: _FRACTION.sub(_tenth, found[0]), svg)
    svg = re.sub(r' d="[^"]*"', lambda found: _BREAK.sub("", found[0]), svg)
    svg = re.sub(r">\s+<", "><", re.sub(r"\s*\n\s*", " ", svg)).strip()
    return _classed(_named(svg))


def _tenth(found: re.Match[str]) -> str:
    return f"{round(float(found[0]), 1) + 0.0:g}"  # + 0.0: no negative zero


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
