"""Settings of all tests."""

import gc
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

settings.register_profile("tabench", deadline=None)  # a busy machine is no failure
settings.load_profile("tabench")


def pytest_collection_finish() -> None:
    """Spare the collector what is imported by now: it stays, and a walk over it takes half a second."""
    gc.collect()
    gc.freeze()


def pytest_unconfigure() -> None:
    """Let the interpreter end as ever."""
    gc.unfreeze()


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A cache of the tests' own: what a test packs is not left in the user's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TABENCH_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield


@pytest.fixture(scope="session")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of the smallest run's scenes, which tests only read."""
    from tiny_run import write_scenes

    return write_scenes(tmp_path_factory.mktemp("scenes"))


@pytest.fixture(scope="module")
def entries_of_tests() -> Iterator[None]:
    """The registries hold the methods and balancers of the tests, too."""
    from registering import registered

    with registered():
        yield


@pytest.fixture(scope="session")
def weights(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """Random weights of the smallest backbone, for models that compute on one thread."""
    import torch
    from tiny_run import write_weights

    torch.set_num_threads(1)
    return write_weights(tmp_path_factory.mktemp("weights") / "nano.safetensors")
