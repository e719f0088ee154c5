"""A folder that may not be read, for whoever runs the tests: root, whom no right binds, becomes nobody."""

from __future__ import annotations

import contextlib
import os
import shutil
import stat
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

NOBODY = 65534


@pytest.fixture
def reachable() -> Iterator[Path]:
    """An empty folder that everybody can reach; pytest's own are their user's alone."""
    folder = Path(tempfile.mkdtemp(prefix="tabench-test-"))
    folder.chmod(0o755)
    try:
        if os.geteuid() == 0 and not all(parent.stat().st_mode & stat.S_IXOTH for parent in folder.parents):
            pytest.skip("root's temporary folder is not for others")
        yield folder
    finally:
        shutil.rmtree(folder)


@contextlib.contextmanager
def locked(*paths: Path) -> Iterator[None]:
    """Take all rights from files or folders. Everything that is to be imported must have been."""
    modes = {path: path.stat().st_mode for path in paths}
    for path in paths:
        path.chmod(0)
    root = os.geteuid() == 0
    if root:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if root:
            os.seteuid(0)
        for path, mode in modes.items():
            path.chmod(mode)
