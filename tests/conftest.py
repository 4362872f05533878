"""Settings for all tests."""

import os
import time
from collections.abc import Iterator

import pytest
import torch
from hypothesis import settings

# Shared machines stall now and then; a slow example is no failure.
settings.register_profile("flyweight", deadline=None)
settings.load_profile("flyweight")

# Tests run in a process a core ('make test'): more threads would wait for each other.
torch.set_num_threads(1)


BEGAN = time.monotonic()


def pytest_addoption(parser: pytest.Parser) -> None:
    """`--minutes`: what CI can afford."""
    parser.addoption(
        "--minutes", type=float, help="skip slow tests that have not begun after so many"
    )


def pytest_runtest_setup(item: pytest.Item) -> None:
    """Skip what there is no time for, and say so."""
    minutes = item.config.getoption("--minutes")
    slow = item.get_closest_marker("slow") is not None
    if minutes is not None and slow and time.monotonic() - BEGAN > 60 * minutes:
        pytest.skip(f"{minutes:g} minutes are over ('make test-all' runs it)")


@pytest.fixture(scope="session", autouse=True)
def _caches(tmp_path_factory: pytest.TempPathFactory) -> Iterator[None]:
    """Compiled networks are shared by all processes of a run, and never by two runs."""
    folder = tmp_path_factory.getbasetemp()
    if "PYTEST_XDIST_WORKER" in os.environ:
        folder = folder.parent
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("XDG_CACHE_HOME", str(folder / "caches"))
        yield
