"""Jinja's environment for every page, and the filters that templates use."""

from __future__ import annotations

import base64
import hashlib
import html
import re
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import jinja2
from jinja2.ext import Extension
from markupsafe import Markup
from PIL import Image

from tabench.report.figures.pictures import data_uri, packed
from tabench.report.records import grid, wording
from tabench.store.encoding import dumps
from tabench.text import duration

TEMPLATES = Path(__file__).parent / "templates"


@cache
def environment() -> jinja2.Environment:
    """The environment: everything is escaped, and a name that a page does not know is an error."""
    found = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        extensions=[_Unindented],
    )
    found.filters |= {
        "rich": rich,
        "svg_uri": svg_uri,
        "svg_width": svg_width,
        "picture_uri": picture_uri,
        "duration": duration,
        "number": wording.number,
        "pretty": pretty,
        "slug": slug,
        "minus": minus,
        "shortest": "{:.8g}".format,
    }
    scripts = {"theme_js": source("theme.js"), "table_js": source("tables.js")}
    found.globals |= {"css": source("style.css"), **scripts}
    found.globals["script_sums"] = " ".join(_sum(script) for script in scripts.values())
    return found


def rich(text: str) -> Markup:
    """Escape a sentence and set "Δ_b" with a subscript."""
    return Markup(str(Markup.escape(text)).replace("Δ_b", "Δ<sub>b</sub>"))


def minus(text: str) -> str:
    """A number's text with a true minus sign."""
    return text.replace("-", "−") if text.startswith("-") else text


def clock(seconds: float) -> str:
    """Seconds since 1970 as UTC, for example "2026-01-01 00:02:00"."""
    return datetime.fromtimestamp(seconds, tz=UTC).strftime("%Y-%m-%d %H:%M:%S")


def slug(text: str) -> str:
    """A text as part of an element id; distinct texts stay distinct."""
    return "".join(c if c.isascii() and c.isalnum() else f"-{ord(c):x}-" for c in text)


def svg_uri(data: bytes) -> Markup:
    """A drawing as an inline image, for an attribute in double quotes; text is shorter than base64."""
    text = data.decode().replace("%", "%25").replace("#", "%23").replace("&", "&amp;").replace('"', "'")
    return Markup(f"data:image/svg+xml,{text}")


def svg_width(data: bytes) -> int:
    """Pixels across in which a drawing's letters are as large as a page's small print."""
    found = re.search(rb'<svg width="([\d.]+)pt"', data)
    return round(float(found[1]) * 4 / 3 * 1.25) if found else 1150


def picture_uri(pixels: grid.Pixels) -> str:
    """Pixels (H, W, 3) as an inline image."""
    return data_uri(packed(Image.fromarray(pixels)), "webp")


def pretty(value: object) -> Markup:
    """JSON for an element's text, where quotation marks need no escape."""
    return Markup(html.escape(dumps(value), quote=False))


def _sum(script: Markup) -> str:
    """What a page's policy calls a script of its own; no other one runs."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


class _Unindented(Extension):
    """Leaves the indentation of templates out of pages; texts of records are not touched."""

    def preprocess(self, source: str, name: str | None, filename: str | None = None) -> str:
        return "\n".join(line.lstrip() for line in source.split("\n"))


def source(name: str) -> Markup:
    """A style sheet or script, without indentation and lines of comment: every page carries it."""
    lines = (TEMPLATES / name).read_text(encoding="utf-8").splitlines()
    return Markup("\n".join(s for line in lines if (s := line.strip()) and not s.startswith("//")))
