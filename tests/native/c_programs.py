"""Emitted networks as programs: built by any compiler, run in a process of their own."""

import os
import shutil
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from flyweight import create_model
from flyweight.native.blocks import fixed_block
from flyweight.native.compiling import program_of
from flyweight.native.emitting import Emitted, emit
from flyweight.native.isa import ISAS, Isa
from flyweight.native.plan import ImageFormat
from flyweight.native.planning import plan_of
from flyweight.nn import channel_shuffle
from flyweight.nn.trained import as_trained
from tests.zoo.forms import FORMS

FLAGS = ("-std=c11", "-ffp-contract=fast", "-fno-math-errno", "-Wall", "-Wextra", "-Wno-psabi")
Array = NDArray[Any]

# Weights lie in memory of exactly their size, so that a sanitizer sees what reads beyond.
MAIN = r"""
#include <stdio.h>
#include <stdlib.h>
#define JOINED(a, b) a##_##b
#define CALLED(a, b) JOINED(a, b)
#define OF(what) CALLED(NETWORK, what)

static void *content(const char *path, size_t *bytes) {
    FILE *file = fopen(path, "rb");
    if (!file)
        exit(3);
    fseek(file, 0, SEEK_END);
    *bytes = (size_t)ftell(file);
    rewind(file);
    void *found = malloc(*bytes);
    if (!found || fread(found, 1, *bytes, file) != *bytes)
        exit(3);
    fclose(file);
    return found;
}

/* program WEIGHTS IMAGES OUTPUTS THREADS RUNS */
int main(int count, char **words) {
    if (count != 6)
        return 2;
    size_t bytes, image_bytes;
    void *weights = content(words[1], &bytes), *images = content(words[2], &image_bytes);
    int64_t batch = (int64_t)(image_bytes / OF(input_bytes)());
    NETWORK *network;
    int code = OF(create)(&network, weights, bytes, atoi(words[4]));
    float *outputs[16];
    for (int i = 0; !code && i < OF(output_count)(); i++)
        outputs[i] = malloc((size_t)(batch * OF(output_size)(i)) * sizeof(float));
    for (int n = 0; !code && n < atoi(words[5]); n++)
        code = OF(run)(network, images, batch, outputs);
    FILE *file = fopen(words[3], "wb");
    for (int i = 0; !code && i < OF(output_count)(); i++) {
        fwrite(outputs[i], sizeof(float), (size_t)(batch * OF(output_size)(i)), file);
        free(outputs[i]);
    }
    fclose(file);
    OF(destroy)(network);
    free(weights);
    free(images);
    if (code)
        fprintf(stderr, "%s\n", OF(error_text)(code));
    return code != 0;
}
"""


NO_ENV: Mapping[str, str] = {}


class Small(nn.Module):
    """A shuffle, a split, a concatenation, groups, padding, a pool and a linear layer."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(1)
        self.stem = nn.Conv2d(3, 12, 3, stride=2, padding=1)
        self.norm = nn.BatchNorm2d(12)
        self.branch = nn.Conv2d(6, 6, 3, padding=1, groups=6)
        self.grouped = nn.Conv2d(12, 24, 1, groups=2)
        self.pool = nn.MaxPool2d(3, 2, 1)
        self.classifier = nn.Linear(24, 7)
        nn.init.uniform_(self.norm.running_mean, -1, 1)
        nn.init.uniform_(self.norm.running_var, 0.5, 2)

    def forward(self, x: Tensor) -> Tensor:
        x = channel_shuffle(torch.relu(self.norm(self.stem(x))), 2)
        kept, worked = x.chunk(2, 1)
        x = self.pool(torch.cat((kept, self.branch(worked)), 1))
        return self.classifier(self.grouped(x).mean((2, 3)))


def form(key: str) -> tuple[nn.Module, int]:
    """One of the zoo's forms as training leaves it, and the side of its smallest input."""
    name, options = FORMS[key]
    torch.manual_seed(0)
    model = create_model(name, **{"num_classes": 10, **options})
    as_trained(model)
    return model.eval(), max(64, model.min_size)


def emitted(
    model: nn.Module, size: int | tuple[int, int], isa: Isa, image: ImageFormat | None = None,
    name: str = "net",
) -> Emitted:  # fmt: skip
    """A module as C."""
    height, width = (size, size) if isinstance(size, int) else size
    with torch.no_grad():
        program = program_of(model, torch.zeros(1, 3, height, width))
        return emit(plan_of(program, isa, image, fixed_block), name)


def host() -> Isa:
    """The instruction set of this machine, whatever its compiler is."""
    flags = Path("/proc/cpuinfo").read_text() if Path("/proc/cpuinfo").exists() else ""
    known = {"avx512": "avx512vl", "avx2": "avx2", "neon": "asimd"}
    return ISAS[next((name for name, flag in known.items() if flag in flags.split()), "portable")]


def needed(*programs: str) -> pytest.MarkDecorator:
    """Skips a test where one of these programs isn't installed."""
    missing = [program for program in programs if shutil.which(program) is None]
    return pytest.mark.skipif(bool(missing), reason=f"not installed: {', '.join(missing)}")


def save(one: Emitted, folder: Path) -> None:
    """Write its files and the program that runs it."""
    (folder / f"{one.name}.h").write_text(one.header)
    (folder / f"{one.name}.c").write_text(one.source)
    (folder / f"{one.name}.bin").write_bytes(one.weights)
    main = f'#define NETWORK {one.name}\n#include "{one.name}.h"\n{MAIN}'
    (folder / "main.c").write_text(main)


def build(one: Emitted, folder: Path, compiler: str, *flags: str) -> Path:
    """The program; warnings are errors."""
    save(one, folder)
    program = folder / "program"
    command = [compiler, *FLAGS, "-Werror", *flags, "main.c", f"{one.name}.c", "-o", program]
    made = subprocess.run(
        [*command, "-pthread", "-lm"], cwd=folder, capture_output=True, text=True, check=False
    )
    assert made.returncode == 0, made.stderr[:3000]
    return program


def run(
    one: Emitted, program: Path, images: Array, shapes: Sequence[tuple[int, ...]],
    threads: int = 1, runs: int = 1, before: Sequence[str] = (), env: Mapping[str, str] = NO_ENV,
) -> list[Array]:  # fmt: skip
    """What the program computes; what it says on stderr is a failure."""
    folder = program.parent
    images.tofile(folder / "images.raw")
    done = subprocess.run(
        [*before, program, f"{one.name}.bin", "images.raw", "outputs.raw", str(threads), str(runs)],
        cwd=folder, capture_output=True, text=True, check=False,
        env={**os.environ, **env},
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, ""), done.stderr[:5000]
    values = np.fromfile(folder / "outputs.raw", np.float32)
    sizes = np.cumsum([int(np.prod(shape)) for shape in shapes])
    assert len(values) == sizes[-1]
    return [a.reshape(shape) for a, shape in zip(np.split(values, sizes[:-1]), shapes, strict=True)]
