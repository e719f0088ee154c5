"""The self-contained page: everything it needs is inside the one file."""

from __future__ import annotations

import base64
import io
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import jinja2
from markupsafe import Markup
from PIL import Image

from tabench import __version__
from tabench.report import cost, findings, grid, reproduction, wording
from tabench.report.extras import Extras
from tabench.report.frames import Table
from tabench.report.published import Published
from tabench.report.reading import Results
from tabench.report.style import Looks

TEMPLATES = Path(__file__).parent / "templates"
MAX_WIDTH = 320  # pixels of a picture on the page; the figures folder has it in full


@dataclass(frozen=True)
class Picture:
    """A figure with its caption."""

    caption: str
    looks: Looks


def page(
    results: Results,
    tables: Sequence[Table],
    qualitative: grid.Grid | None,
    pictures: dict[str, Picture],
    not_comparable: Published | None,
    extras: Extras | None = None,
) -> str:
    """Fill the page.

    Args:
        results: What was run.
        tables: Results tables, the main protocol first.
        qualitative: Figure 4, or None.
        pictures: Stem to figure.
        not_comparable: Published values of other data or models, shown apart from the results.
        extras: Verdicts, claims, paired tests and costs; computed here if the caller has not.
    """
    parts = extras or Extras(results, not_comparable)
    environment = jinja2.Environment(
        loader=jinja2.FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=jinja2.StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "rich": rich,
        "svg_uri": lambda data: _uri(data, "image/svg+xml"),
        "picture_uri": picture_uri,
        "duration": wording.duration,
        "number": wording.number,
        "pretty": lambda value: json.dumps(value, indent=2, ensure_ascii=False, sort_keys=True),
        "slug": slug,
        "clock": clock,
        "minus": minus,
    }
    return environment.get_template("index.html.j2").render(
        results=results,
        record=results.first,
        tables=tables,
        grid=qualitative,
        grid_caption=grid.caption(results, qualitative) if qualitative else "",
        pictures=pictures,
        published=not_comparable,
        headline=findings.headline(results, list(tables)),
        warning=wording.warning(results),
        short_warning=wording.short_warning(results),
        states=wording.states(results),
        protocols=wording.PROTOCOLS,
        selections=wording.SELECTIONS,
        arrows=wording.ARROWS,
        **parts.context(),
        total_wall=cost.total_wall(results),
        reproduced=reproduction.reproduced(results),
        circumstances=circumstances(results),
        version=__version__,
        css=Markup((TEMPLATES / "style.css").read_text(encoding="utf-8")),
        js=Markup((TEMPLATES / "page.js").read_text(encoding="utf-8")),
    )


def circumstances(results: Results) -> dict[str, list[str]]:
    """Facts of the runs that may differ between machines: what to every value that occurred."""
    wanted = {
        "Device": ("device",),
        "Threads": ("threads",),
        "Commit": ("environment", "git", "commit"),
        "Uncommitted changes": ("environment", "git", "dirty"),
        "CPU": ("environment", "cpu"),
        "Platform": ("environment", "platform"),
        "Python": ("environment", "python"),
        "PyTorch": ("environment", "packages", "torch"),
        "NumPy": ("environment", "packages", "numpy"),
        "tabench": ("environment", "packages", "tabench"),
    }
    found: dict[str, list[str]] = {}
    for title, path in wanted.items():
        values = {str(value) for cell in results.done if (value := _dig(cell.run, path)) not in (None, "")}
        if values:
            found[title] = sorted(values)
    return found


def rich(text: str) -> Markup:
    """Escape a sentence and set "Δ_b" with a subscript and a minus as a minus."""
    escaped = str(Markup.escape(text)).replace("Δ_b", "Δ<sub>b</sub>")
    return Markup(escaped)


def minus(text: str) -> str:
    """A number's text with a true minus sign."""
    return text.replace("-", "−") if text.startswith("-") else text


def clock(seconds: float) -> str:
    """Seconds since 1970 as UTC, for example "2026-01-01 00:02:00"."""
    return datetime.fromtimestamp(seconds, tz=UTC).strftime("%Y-%m-%d %H:%M:%S")


def slug(text: str) -> str:
    """A text as part of an element id; distinct texts stay distinct."""
    return "".join(c if c.isascii() and c.isalnum() else f"-{ord(c):x}-" for c in text)


def picture_uri(pixels: grid.Pixels) -> str:
    """Pixels (H, W, 3) as an inline image: PNG, or JPEG where a photograph would be large."""
    image = Image.fromarray(pixels)
    if image.width > MAX_WIDTH:
        image = image.resize((MAX_WIDTH, round(image.height * MAX_WIDTH / image.width)), Image.Resampling.BOX)
    png, jpeg = io.BytesIO(), io.BytesIO()
    image.save(png, "PNG", optimize=True)
    if len(png.getvalue()) < 40_000:
        return _uri(png.getvalue(), "image/png")
    image.save(jpeg, "JPEG", quality=88)
    return _uri(jpeg.getvalue(), "image/jpeg")


def _uri(data: bytes, kind: str) -> str:
    return f"data:{kind};base64,{base64.b64encode(data).decode()}"


def _dig(value: Any, path: Sequence[str]) -> Any:
    for key in path:
        value = value.get(key) if isinstance(value, dict) else None
    return value
