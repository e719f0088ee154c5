"""Settings of all tests."""

from collections.abc import Iterator

import pytest
from hypothesis import settings

settings.register_profile("tabench", deadline=None)  # a busy machine is no failure
settings.load_profile("tabench")


@pytest.fixture(scope="session", autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """A cache of the tests' own: what a test packs is not left in the user's."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("TABENCH_CACHE", str(tmp_path_factory.mktemp("cache")))
        yield
