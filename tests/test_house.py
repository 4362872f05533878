"""The house itself: names, generated pages, examples, and what must never be in it."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

import flyweight
from tests.docs_pages import docs_module

ROOT = Path(__file__).resolve().parents[1]
SOURCES = sorted((ROOT / "src").rglob("*.py"))
MAX_LINES = 400

# Which packages may not import which: the arrows of docs/design.md, backwards.
FORBIDDEN = {
    "lowering": (
        "zoo", "counting", "engines", "measuring", "records", "decomposing", "report", "cli", "api",
    ),
    "nn": (
        "zoo", "graph", "counting", "engines", "measuring", "records", "decomposing", "report",
        "cli", "api",
    ),
    "zoo": (
        "graph", "counting", "engines", "measuring", "records", "decomposing", "report", "cli",
        "api",
    ),
    "graph": (
        "zoo", "counting", "engines", "measuring", "records", "decomposing", "report", "cli", "api",
    ),
    "counting": ("zoo", "engines", "measuring", "records", "decomposing", "report", "cli", "api"),
    "native": (
        "zoo", "counting", "engines", "measuring", "records", "decomposing", "report", "cli", "api",
    ),
    "engines": ("zoo", "counting", "measuring", "decomposing", "report", "cli", "api"),
    "measuring": (
        "zoo", "graph", "counting", "engines", "decomposing", "report", "cli", "api",
    ),
    "exporting": ("counting", "measuring", "records", "decomposing", "report", "cli", "api"),
    "evaluating": (
        "graph", "counting", "engines", "measuring", "records", "decomposing", "report", "cli",
        "api",
    ),
    "decomposing": (
        "zoo", "lowering", "exporting", "evaluating", "studies", "report", "cli", "api",
    ),
    "accelerator": (
        "zoo", "graph", "lowering", "engines", "native", "measuring", "records", "exporting",
        "evaluating", "decomposing", "studies", "report", "cli", "api",
    ),
    "training": (
        "graph", "lowering", "counting", "engines", "native", "exporting", "measuring", "records",
        "decomposing", "studies", "report", "cli", "api",
    ),
    "compress": (
        "graph", "lowering", "counting", "engines", "native", "exporting", "measuring", "records",
        "decomposing", "studies", "advising", "report", "cli", "api",
    ),
    "advising": ("zoo", "evaluating", "report", "cli", "api"),
    "quantizing": (
        "counting", "native", "decomposing", "training", "accelerator", "advising", "studies",
        "report", "cli", "api", "trained",
    ),
    "studies": ("graph", "native", "exporting", "decomposing", "report", "cli", "api"),
    "records": (
        "nn", "zoo", "graph", "counting", "engines", "measuring", "decomposing", "report", "cli",
        "api",
    ),
    "report": ("nn", "zoo", "graph", "counting", "engines", "measuring", "cli", "api"),
}  # fmt: skip


def test_public_names() -> None:
    assert len(flyweight.__all__) <= 12
    for name in flyweight.__all__:
        assert callable(getattr(flyweight, name))
    assert set(flyweight.__all__) <= set(dir(flyweight))
    with pytest.raises(AttributeError, match="no attribute 'nothing'"):
        _ = flyweight.nothing


def test_version() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))["project"]
    assert flyweight.__version__ == project["version"]
    assert f"## {flyweight.__version__}" in (ROOT / "CHANGELOG.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("package", FORBIDDEN)
def test_arrows_go_one_way(package: str) -> None:
    for path in (ROOT / "src" / "flyweight" / package).rglob("*.py"):
        imported = set(re.findall(r"(?:from|import) flyweight\.(\w+)", path.read_text("utf-8")))
        assert not imported & set(FORBIDDEN[package]), path


def test_few_know_of_int8() -> None:
    above = {"quantizing", "cli"}
    for path in SOURCES:
        if path.relative_to(ROOT / "src" / "flyweight").parts[0] not in above:
            assert "flyweight.quantizing" not in path.read_text("utf-8"), path


def test_nothing_below_knows_of_advice() -> None:
    above = {"advising", "report", "cli", "advice.py"}
    for path in SOURCES:
        if path.relative_to(ROOT / "src" / "flyweight").parts[0] not in above:
            assert "flyweight.advising" not in path.read_text("utf-8"), path


def test_files_stay_small() -> None:
    long = {
        path.name: count for path in SOURCES if (count := len(path.open().readlines())) > MAX_LINES
    }
    assert not long


@pytest.mark.parametrize(
    "page",
    [
        "README.md",
        "docs/advise.md",
        "docs/compress.md",
        "docs/decompose.md",
        "docs/famous.md",
        "docs/int8.md",
        "docs/lowering.md",
        "docs/native.md",
        "docs/train.md",
        pytest.param("docs/results.md", marks=pytest.mark.slow),
        pytest.param("docs/networks.md", marks=pytest.mark.slow),
    ],
)
def test_generated_pages_are_up_to_date(page: str) -> None:
    generate = docs_module("generate")
    assert set(generate.PAGES) == {
        "README.md",
        "docs/advise.md",
        "docs/compress.md",
        "docs/decompose.md",
        "docs/famous.md",
        "docs/int8.md",
        "docs/lowering.md",
        "docs/native.md",
        "docs/networks.md",
        "docs/results.md",
        "docs/train.md",
    }
    assert not generate.stale(page), "run 'make docs'"


def test_help_does_not_wait_for_torch() -> None:
    code = "import sys, flyweight.cli; sys.exit('torch' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0


@pytest.mark.slow
def test_examples_run() -> None:
    done = subprocess.run(
        [sys.executable, "examples/fewer_flops_yet_slower.py", "1"],
        cwd=ROOT, capture_output=True, text=True, check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stderr
    assert "137 M multiply-adds" in done.stdout
    assert "the time of mobilenet_v1_x0_5" in done.stdout
