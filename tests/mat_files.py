"""MATLAB v5 files that are the same bytes whenever they are written."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

from scipy.io import savemat

_TEXT = 116  # bytes of free text that a v5 file begins with; SciPy puts the time and the platform there


def mat(variables: dict[str, Any], **how: Any) -> bytes:
    """What SciPy's `savemat` writes, without the time."""
    buffer = io.BytesIO()
    savemat(buffer, variables, **how)
    return b"MATLAB 5.0 MAT-file".ljust(_TEXT) + buffer.getvalue()[_TEXT:]


def save_mat(path: Path, variables: dict[str, Any], **how: Any) -> None:
    """Write it to a file."""
    path.write_bytes(mat(variables, **how))
