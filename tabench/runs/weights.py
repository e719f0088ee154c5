"""A backbone's weights file and its sha256, hashed once."""

from __future__ import annotations

import contextlib
import hashlib
import re
from dataclasses import dataclass
from pathlib import Path

from tabench.errors import StoreError
from tabench.sam.geometry import Backbone
from tabench.sam.locate import checkpoint_sha256, find_checkpoint
from tabench.store.atomic import write_json
from tabench.store.cache import cache_root
from tabench.store.encoding import parse_json


@dataclass(frozen=True)
class Weights:
    """A weights file.

    Attributes:
        path: Where it is.
    """

    path: Path

    @property
    def sha256(self) -> str:
        """Hex digest of its content, remembered by path, size and modification time."""
        stat = self.path.stat()
        place = str(self.path.resolve())
        key: dict[str, object] = {"path": place, "size": stat.st_size, "mtime_ns": stat.st_mtime_ns}
        name = f"{hashlib.sha256(place.encode()).hexdigest()[:16]}.json"
        with contextlib.suppress(OSError, ValueError, StoreError):
            note = cache_root() / "weights" / name
            held = parse_json(note.read_bytes())
            if isinstance(held, dict) and {k: held.get(k) for k in key} == key:
                known = str(held.get("sha256"))
                if re.fullmatch("[0-9a-f]{64}", known):
                    return known
        digest = checkpoint_sha256(self.path)
        with contextlib.suppress(StoreError):  # a read-only home, or none, only costs hashing again
            write_json(cache_root() / "weights" / name, {**key, "sha256": digest})
        return digest


def find_weights(backbone: Backbone, path: Path | None) -> Weights:
    """Find a backbone's weights; see `find_checkpoint`.

    Raises:
        CheckpointError: There are none.
    """
    return Weights(find_checkpoint(backbone, path))
