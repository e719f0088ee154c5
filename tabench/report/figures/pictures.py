"""Pictures as pages show them: small WebP files that pages share, or inline."""

from __future__ import annotations

import base64
import hashlib
import io
import re
from pathlib import Path

from PIL import Image

from tabench.store.atomic import write_bytes

MAX_WIDTH = 320  # pixels of a picture on a page; the results folder has it in full
FLAT = 256  # colours up to which a picture is tried without loss
_RULE = b"webp 1"  # another number where the same file gives another picture
_NAME = re.compile(r"[0-9a-f]{16}\.webp")


def packed(image: Image.Image) -> bytes:
    """A picture as WebP: exact where that is the smaller (flat colours), close to it otherwise."""
    if image.mode == "RGBA" and image.getchannel("A").getextrema() == (255, 255):
        image = image.convert("RGB")
    if image.mode not in ("RGB", "RGBA"):
        image = image.convert("RGB")
    if image.width > MAX_WIDTH:
        image = image.resize((MAX_WIDTH, round(image.height * MAX_WIDTH / image.width)), Image.Resampling.BOX)
    close = _webp(image, lossless=False, quality=75)
    if image.getcolors(FLAT) is None:
        return close
    return min(_webp(image, lossless=True, quality=60), close, key=len)


def _webp(image: Image.Image, *, lossless: bool, quality: int) -> bytes:
    buffer = io.BytesIO()
    image.save(buffer, "WEBP", lossless=lossless, quality=quality, method=4)
    return buffer.getvalue()


def data_uri(data: bytes, kind: str) -> str:
    """A picture as an inline image."""
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"


class Album:
    """The pictures of many pages, each one file named by what it was made of.

    Attributes:
        folder: Where the files go; pages lie one folder above.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._known: dict[Path, str] = {}

    def link(self, path: Path) -> str:
        """What a page refers to a picture's file by; "" if there is no such file.

        A picture that is there from an earlier rendering is not packed again.

        Raises:
            StoreError: The folder cannot be written.
        """
        if path not in self._known:
            self._known[path] = self._added(path) if path.is_file() else ""
        return self._known[path]

    def _added(self, path: Path) -> str:
        data = path.read_bytes()
        name = f"{hashlib.sha256(_RULE + data).hexdigest()[:16]}.webp"
        if not (self.folder / name).is_file():
            with Image.open(io.BytesIO(data)) as opened:
                write_bytes(self.folder / name, packed(opened), durable=False)
        return f"{self.folder.name}/{name}"

    @property
    def files(self) -> list[Path]:
        """The files that pages refer to, in the order of their names."""
        return sorted({self.folder.parent / link for link in self._known.values() if link})

    def sweep(self) -> None:
        """Remove the pictures that no page refers to any more."""
        for path in set(self.folder.glob("*.webp")) - set(self.files):
            if _NAME.fullmatch(path.name):
                path.unlink()
