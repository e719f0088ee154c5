"""A backbone's weights file and its sha256, hashed once."""

from __future__ import annotations

import contextlib
import hashlib
import os
import re
import time
from dataclasses import dataclass
from pathlib import Path

from tabench.data.listing import unreadable
from tabench.encoders.sam.geometry import Backbone
from tabench.encoders.sam.locate import checkpoint_sha256, find_checkpoint
from tabench.errors import StoreError
from tabench.provenance.files import cache_root
from tabench.store.atomic import write_json
from tabench.store.encoding import parse_json
from tabench.store.file_cache import Stamp, is_settled, settled_before, stamp_of


@dataclass(frozen=True)
class Weights:
    """A weights file.

    Attributes:
        path: Where it is.
    """

    path: Path

    @property
    def sha256(self) -> str:
        """Hex digest of its content, remembered by path and stamp (see `store.stamps`).

        Raises:
            DataError: It cannot be read.
        """
        began = time.monotonic_ns()
        stamp = self._stamp()
        place = str(self.path.resolve())
        key: dict[str, object] = {"path": place, "stamp": list(stamp)}
        name = f"{hashlib.sha256(place.encode()).hexdigest()[:16]}.json"
        with contextlib.suppress(OSError, ValueError, StoreError):
            note = cache_root() / "weights" / name
            held = parse_json(note.read_bytes())
            if isinstance(held, dict) and {k: held.get(k) for k in key} == key:
                known = str(held.get("sha256"))
                if re.fullmatch("[0-9a-f]{64}", known):
                    return known
        digest = checkpoint_sha256(self.path)
        if self._stamp() == stamp and is_settled(stamp, settled_before(self.path.parent, began)):
            with contextlib.suppress(StoreError):  # a read-only home, or none, only costs hashing again
                write_json(cache_root() / "weights" / name, {**key, "sha256": digest})
        return digest

    def _stamp(self) -> Stamp:
        try:
            with self.path.open("rb") as file:
                return stamp_of(os.fstat(file.fileno()))
        except OSError as error:
            raise unreadable(error, self.path) from error


def find_weights(backbone: Backbone, path: Path | None) -> Weights:
    """Find a backbone's weights; see `find_checkpoint`.

    Raises:
        CheckpointError: There are none.
        DataError: Where they should be may not be looked.
    """
    try:
        return Weights(find_checkpoint(backbone, path))
    except OSError as error:
        raise unreadable(error, error.filename) from error
