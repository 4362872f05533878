"""What all tests of the advisor share."""

import pytest

BLOCK = 8


@pytest.fixture(autouse=True)
def _blocks_of_eight(monkeypatch: pytest.MonkeyPatch) -> None:
    """Widths that tests expect are those of machines whose vectors hold eight floats."""
    monkeypatch.setattr("flyweight.advising.widths.channel_block", lambda: BLOCK)
