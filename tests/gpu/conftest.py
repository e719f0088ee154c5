"""All tests of this folder need a CUDA device."""

from __future__ import annotations

import os
from collections.abc import Iterator
from pathlib import Path

import pytest
import torch

# cuBLAS reads it once, and what is to be deterministic may be any test
os.environ.setdefault("CUBLAS_WORKSPACE_CONFIG", ":4096:8")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Mark them `gpu`, and skip them where there is none."""
    missing = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
    for item in items:
        if Path(__file__).parent in item.path.parents:
            item.add_marker(pytest.mark.gpu)
            item.add_marker(missing)


@pytest.fixture(autouse=True)
def _as_strict_as_before() -> Iterator[None]:
    """What a test measures as cells run leaves torch deterministic; the next one may need what is not."""
    before = torch.get_deterministic_debug_mode()
    yield
    torch.set_deterministic_debug_mode(before)
