"""Settings for all tests."""

import os
from collections.abc import Iterator

import pytest
import torch
from hypothesis import settings

# Shared machines stall now and then; a slow example is no failure.
settings.register_profile("flyweight", deadline=None)
settings.load_profile("flyweight")

# Tests run in a process a core ('make test'): more threads would wait for each other.
torch.set_num_threads(1)


@pytest.fixture(scope="session", autouse=True)
def _caches(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Compiled networks are shared by all processes of a run, and never by two runs."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "caches"))
        yield
