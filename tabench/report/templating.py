"""Jinja's environment for every page, and the filters that templates use."""

from __future__ import annotations

import base64
import io
from datetime import UTC, datetime
from functools import cache
from pathlib import Path

import jinja2
from markupsafe import Markup
from PIL import Image

from tabench.report import grid, wording
from tabench.store.encoding import dumps

TEMPLATES = Path(__file__).parent / "templates"
MAX_WIDTH = 320  # pixels of a picture on a page; the figures folder has it in full
SMALL = 3_000  # bytes up to which a picture stays a PNG


@cache
def environment() -> jinja2.Environment:
    """The environment: everything is escaped, and a name that a page does not know is an error."""
    found = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    found.filters |= {
        "rich": rich,
        "svg_uri": svg_uri,
        "picture_uri": picture_uri,
        "duration": wording.duration,
        "number": wording.number,
        "pretty": dumps,
        "slug": slug,
        "clock": clock,
        "minus": minus,
    }
    found.globals |= {
        "css": _source("style.css"),
        "theme_js": _source("theme.js"),
        "table_js": _source("tables.js"),
    }
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


def svg_uri(data: bytes) -> str:
    """A drawing as an inline image."""
    return _uri(data, "image/svg+xml")


def picture_uri(pixels: grid.Pixels) -> str:
    """Pixels (H, W, 3) as an inline image."""
    return _picture_uri(Image.fromarray(pixels))


def file_uri(path: Path) -> str:
    """A picture's file as an inline image; "" if there is none."""
    if not path.is_file():
        return ""
    if path.stat().st_size <= SMALL and path.suffix == ".png":
        return _uri(path.read_bytes(), "image/png")
    with Image.open(path) as opened:
        return _picture_uri(opened.convert("RGB"))


def _picture_uri(image: Image.Image) -> str:
    """PNG where that is small (flat colours), WebP otherwise."""
    if image.width > MAX_WIDTH:
        image = image.resize((MAX_WIDTH, round(image.height * MAX_WIDTH / image.width)), Image.Resampling.BOX)
    buffer = io.BytesIO()
    image.save(buffer, "PNG", optimize=True)
    if buffer.tell() <= SMALL:
        return _uri(buffer.getvalue(), "image/png")
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", quality=85, method=4)
    return _uri(buffer.getvalue(), "image/webp")


def _uri(data: bytes, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def _source(name: str) -> Markup:
    """A style sheet or script, without indentation: every page carries it."""
    lines = (TEMPLATES / name).read_text(encoding="utf-8").splitlines()
    return Markup("\n".join(line.strip() for line in lines))
