"""A folder of C: the network, its weights, and what builds and calls them."""

import json
import tempfile
from collections.abc import Mapping
from importlib import resources
from pathlib import Path
from typing import Any

from numpy.typing import NDArray
from torch import Tensor, nn

from flyweight.engines import Array
from flyweight.errors import FlyweightError, first_line
from flyweight.exporting.c_readme import Facts, readme_fields
from flyweight.exporting.describing import Description
from flyweight.exporting.formats import METADATA, Choices, Run, UncheckedError
from flyweight.native.building import (
    FLAGS,
    compile_shared,
    has_compiler,
    host_flags,
    host_isa,
)
from flyweight.native.compiling import plan_network
from flyweight.native.interface import filled
from flyweight.native.isa import ISAS, Isa, isa_named
from flyweight.native.running import Network

NATIVE = "native"
_WARNINGS = ("-Wall", "-Wextra")
_TEMPLATES = ("CMakeLists.txt", "embed.cmake", "example.c", "README.md")


def check(choices: Choices) -> None:
    """Find out whether there is such a CPU, before the work.

    Raises:
        UsageError: an unknown one.
        FlyweightError: this machine's, where there is no compiler to ask what it has.
    """
    _isa(choices.cpu or NATIVE)


def _isa(cpu: str) -> Isa:
    if cpu != NATIVE:
        return isa_named(cpu)
    if not has_compiler():
        raise FlyweightError(
            f"--cpu {NATIVE} asks a C compiler what this machine has, and there is none: install"
            f" one (apt install gcc), set CC, or say it: --cpu {', '.join(ISAS)}"
        )
    return host_isa()


def write(
    model: nn.Module, example: Tensor, description: Description, path: Path
) -> Mapping[str, Any]:
    """Write the files of a network into a folder (see `Writer`)."""
    cpu = description.cpu or NATIVE
    isa = _isa(cpu)
    plan, emitted = plan_network(model, example, description.network, isa, description.image)
    name = emitted.name
    texts = {f"{name}.h": emitted.header, f"{name}.c": emitted.source}
    if description.class_names is not None:
        texts["classes.txt"] = "".join(f"{one}\n" for one in description.class_names)
    entries = description.entries("images")
    del entries["date"]  # the same network gives the same files
    entries["name"] = name
    entries["cpu"] = {"instructions": isa.name, "flags": list(isa.flags), NATIVE: cpu == NATIVE}
    entries["files"] = [*texts, f"{name}.bin", *_TEMPLATES, METADATA]
    flags = [flag for flag in FLAGS if flag not in _WARNINGS and not flag.startswith("-std")]
    facts = Facts(plan, description, len(emitted.weights), cpu == NATIVE, tuple(flags))
    fields = readme_fields(facts)
    for template in _TEMPLATES:
        texts[template] = filled(_template(template), name, plan, description.network, fields)
    texts[METADATA] = json.dumps(entries, ensure_ascii=False, indent=1) + "\n"
    for file, text in texts.items():
        (path / file).write_text(text, encoding="utf-8", newline="\n")
    (path / f"{name}.bin").write_bytes(emitted.weights)
    return entries


def _template(name: str) -> str:
    home = resources.files("flyweight.exporting").joinpath("c", f"{name}.in")
    return home.read_text(encoding="utf-8")


def _flags(planned: Isa) -> tuple[str, ...]:
    """For a check on this machine: compilers take a minute to split longer vectors well."""
    split = planned.lanes > host_isa().lanes
    return (*host_flags(), "-O1") if split else host_flags()


def load(path: Path) -> Run:
    """The folder's network, compiled by this machine's compiler (see `Writer`)."""
    if not has_compiler():
        raise UncheckedError(
            "there is no C compiler here to read it back with; install one (apt install gcc) or"
            " set CC, and export again"
        )
    try:
        about = json.loads((path / METADATA).read_text(encoding="utf-8"))
        name = str(about["name"])
        with tempfile.TemporaryDirectory() as folder:
            library = Path(folder) / f"{name}.so"
            flags = _flags(isa_named(about["cpu"]["instructions"]))
            compile_shared((path / f"{name}.c").resolve(), library, flags)
            weights = (path / f"{name}.bin").read_bytes()
            network = Network(library, name, weights, threads=1)
    except (OSError, ValueError, KeyError) as error:
        raise FlyweightError(f"can't read {path} back: {first_line(error)}") from error

    def run(images: NDArray[Any]) -> tuple[Array, ...]:
        return network(images)

    return run
