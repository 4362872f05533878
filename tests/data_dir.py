"""Where the real weights and photographs are; they are not part of the repository."""

import os
from pathlib import Path

import pytest

DATA = Path(
    os.environ.get("FLYWEIGHT_TEST_DATA") or Path(__file__).resolve().parents[2] / "shared" / "data"
)

needs_data = pytest.mark.skipif(
    not (DATA / "weights").is_dir(),
    reason=f"no real weights and photographs at {DATA} (set FLYWEIGHT_TEST_DATA)",
)


def shared(path: str) -> Path:
    """A file beside the data's folder; skips the test where it can't be had."""
    found = DATA.parent / path
    if not found.is_file():
        pytest.skip(f"no {found}")
    return found
