"""A runner's own context around its blocks."""

import contextlib
from collections.abc import Iterator

from flyweight.measuring import measure


class Watched:
    """Counts the calls that are made within its context, block by block, and those that aren't."""

    def __init__(self) -> None:
        self.blocks: list[int] = []
        self.outside = 0
        self.inside = False

    def __call__(self) -> None:
        if self.inside:
            self.blocks[-1] += 1
        else:
            self.outside += 1

    @contextlib.contextmanager
    def around(self) -> Iterator[None]:
        self.blocks.append(0)
        self.inside = True
        yield
        self.inside = False


def test_every_block_and_nothing_else() -> None:
    watched = Watched()
    found = measure({"watched": watched, "plain": lambda: None}, 0.2)
    record = found.record("watched")
    assert len(watched.blocks) == record.n == found.record("plain").n
    assert set(watched.blocks) == {record.calls_per_sample}
    assert watched.outside > 0  # warm-up, and coming back
