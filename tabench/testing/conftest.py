"""Every test once for each registered name. Names alone are read: a broken entry fails its own tests."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest
import torch

from tabench.catalog import BACKBONES, BALANCERS, DATASETS, EXECUTORS, METHODS, TASKS
from tabench.registry import Registry

REGISTRIES: dict[str, Registry[Any]] = {
    "method": METHODS,
    "balancing": BALANCERS,
    "task": TASKS,
    "dataset": DATASETS,
    "backbone": BACKBONES,
    "executor": EXECUTORS,
}


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    """Give a test that asks for a `method` the name of every method, and so on."""
    for kind, registry in REGISTRIES.items():
        if kind in metafunc.fixturenames:
            metafunc.parametrize(kind, registry.names())


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A cache of the battery's own: nothing of it is left in the user's."""
    with pytest.MonkeyPatch.context() as patch:
        for variable in ("TABENCH_CACHE", "XDG_CACHE_HOME"):
            patch.setenv(variable, str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="module", autouse=True)
def _one_thread() -> Iterator[None]:
    """Models this small are slower on several threads, above all beside other processes."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
