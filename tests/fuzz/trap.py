"""An object that makes a file when it is unpickled: where the file is missing, nothing ran."""

from __future__ import annotations

import os

from fuzz.target import CANARY


class Trap:
    """Makes the canary file of this process where it is unpickled."""

    def __reduce__(self) -> tuple[object, ...]:
        return os.mkdir, (os.environ[CANARY],)
