"""docs/native.md names every operation that the engine has."""

import re
from pathlib import Path

import pytest
from torch._ops import OpOverload

from flyweight.native import positions, rephrasing, selecting

PAGE = Path(__file__).resolve().parents[2] / "docs" / "native.md"
NAMED = {"prelu", "linear", "batch_norm"}


def operations(module: object) -> set[str]:
    """The operations in a module's tables, as PyTorch's users call them."""
    tables = [found for found in vars(module).values() if isinstance(found, dict | tuple | set)]
    known = {one for table in tables for one in table if isinstance(one, OpOverload)}
    return {one.name().removeprefix("aten::").split(".")[0].lstrip("_") for one in known}


@pytest.mark.parametrize("module", [selecting, positions, rephrasing])
def test_every_operation_is_on_the_page(module: object) -> None:
    section = PAGE.read_text(encoding="utf-8").split("\n## What the engine has\n")[1]
    section = section.split("\n## ")[0]
    said = set(re.findall(r"`(\w+)`", section))
    found = operations(module)
    assert len(found) > 5
    assert found | NAMED <= said
