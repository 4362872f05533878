"""The C code as others build and call it: C and C++, GCC and Clang, checked builds, aarch64."""

import ctypes
import os
import re
import shutil
import subprocess
import threading
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn
from torch.nn import functional

from flyweight.native.building import compile_shared, has_compiler, host_flags
from flyweight.native.emitting import Emitted
from flyweight.native.interface import identifier, in_comment, in_string
from flyweight.native.isa import ISAS
from flyweight.native.plan import ImageFormat
from flyweight.native.running import Network
from tests.native.against import error, exact, leaves
from tests.native.c_programs import (
    FLAGS,
    Array,
    Small,
    build,
    emitted,
    form,
    host,
    needed,
    run,
    save,
)
from tests.zoo.forms import FORMS

COMPILERS = [pytest.param(name, marks=needed(name)) for name in ("gcc", "clang")]
SIZE = 33
CHECKED = ("shufflenet_v2_se", "shufflenet_v1", "mobilenet_v1_same", "alexnet", "condensenet",
           "squeezenet_complex_bypass", "resnext", "xception_light", "igcv2")  # fmt: skip
"""Every kind of step; the exhaustive tests take the rest."""

pytestmark = pytest.mark.skipif(not has_compiler(), reason="no C compiler")


@pytest.fixture(scope="module")
def small() -> Emitted:
    return emitted(Small().eval(), SIZE, ISAS["portable"])


def loaded(one: Emitted, folder: Path, threads: int = 1) -> Network:
    """An instance in this process; its library is in the folder."""
    save(one, folder)
    library = folder / f"{one.name}.so"
    if not library.exists():
        compile_shared(folder / f"{one.name}.c", library, (*host_flags(), "-O1"))
    return Network(library, one.name, one.weights, threads)


def images_of(size: int, batch: int = 2) -> Array:
    return np.random.default_rng(batch).standard_normal((batch, 3, size, size), np.float32)


def agree(found: list[Array], model: nn.Module, x: Array) -> None:
    """As close to float64 as 1e-5, or twice as far as PyTorch itself."""
    with torch.no_grad():
        eager = leaves(model(torch.from_numpy(x)))
    for mine, its, true in zip(found, eager, exact(model, torch.from_numpy(x)), strict=True):
        assert error(mine, true) <= max(1e-5, 2 * error(its, true))


def shapes_of(model: nn.Module, x: Array) -> list[tuple[int, ...]]:
    return [one.shape for one in exact(model, torch.from_numpy(x))]


# ---- compilers and callers


@pytest.mark.parametrize("compiler", COMPILERS)
@pytest.mark.parametrize("isa", ["portable", "avx2"])
@pytest.mark.parametrize("level", ["-O1", "-O3"])
def test_builds_without_warnings_and_runs(
    compiler: str, isa: str, level: str, tmp_path: Path
) -> None:
    model, x = Small().eval(), images_of(SIZE, 3)
    one = emitted(model, SIZE, ISAS[isa])
    own = ISAS[isa].flags if host().name in ("avx2", "avx512") else ()
    program = build(one, tmp_path, compiler, level, *own)
    for threads in (1, 2):
        agree(run(one, program, x, shapes_of(model, x), threads), model, x)


CPP = """
#include "net.h"
#include <cstdio>
#include <vector>
int main(int, char **words) {
    net *network = nullptr;
    if (net_create_from_file(&network, words[1], 1) != NET_OK)
        return 1;
    std::vector<float> image(net_input_bytes() / sizeof(float), 0.5f), scores(net_output_size(0));
    float *outputs[] = {scores.data()};
    if (net_run(network, image.data(), 1, outputs))
        return 2;
    for (float score : scores)
        std::printf("%.9g\\n", static_cast<double>(score));
    net_destroy(network);
}
"""


@pytest.mark.parametrize("compilers", [("gcc", "g++"), ("clang", "clang++")], ids=" ".join)
def test_cpp_calls_it(compilers: tuple[str, str], small: Emitted, tmp_path: Path) -> None:
    if not all(map(shutil.which, compilers)):
        pytest.skip(f"not installed: {' or '.join(compilers)}")
    save(small, tmp_path)
    (tmp_path / "main.cpp").write_text(CPP)
    strict = ["-Wall", "-Wextra", "-Wpedantic", "-Werror"]
    commands = (
        [compilers[0], *FLAGS, "-Werror", "-c", "net.c"],
        [compilers[1], "-std=c++11", *strict, "main.cpp", "net.o", "-o", "a", "-pthread", "-lm"],
    )
    for command in commands:
        done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
        assert (done.returncode, done.stderr) == (0, "")
    said = subprocess.run(
        [tmp_path / "a", tmp_path / "net.bin"], capture_output=True, text=True, check=True
    )
    found = np.array(said.stdout.split(), np.float32)[None]
    agree([found], Small().eval(), np.full((1, 3, SIZE, SIZE), 0.5, np.float32))


def test_no_globals_and_no_other_names(small: Emitted, tmp_path: Path) -> None:
    if not (shutil.which("gcc") and shutil.which("nm")):
        pytest.skip("not installed: gcc or nm")
    save(small, tmp_path)
    subprocess.run(["gcc", *FLAGS, "-fno-pic", "-c", "net.c"], cwd=tmp_path, check=True)
    said = subprocess.run(["nm", "net.o"], cwd=tmp_path, capture_output=True, text=True, check=True)
    symbols = [line.split()[-2:] for line in said.stdout.splitlines()]
    assert {kind for kind, _ in symbols} <= {"T", "t", "r", "R", "U"}  # nothing that is written to
    seen = [name for kind, name in symbols if kind.isupper() and kind != "U"]
    assert seen
    assert all(name.startswith("net_") for name in seen)
    declared = set(re.findall(r"\b(net_\w+)\(", small.header)) - {"net_create_embedded"}
    assert set(seen) == declared


COUNTING = """
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include "net.h"
static int calls;
void *__real_malloc(size_t); void *__real_calloc(size_t, size_t);
void *__wrap_malloc(size_t n) { calls++; return __real_malloc(n); }
void *__wrap_calloc(size_t n, size_t m) { calls++; return __real_calloc(n, m); }
int main(int count, char **words) {
    net *network;
    if (count != 2 || net_create_from_file(&network, words[1], 2))
        return 1;
    int before = calls;
    float *image = __real_calloc(3, net_input_bytes());
    float *outputs[] = {__real_malloc(3 * sizeof(float) * (size_t)net_output_size(0))};
    int code = net_run(network, image, 3, outputs) || net_run(network, image, 1, outputs);
    printf("%d %d %d", code, before, calls);
    return 0;
}
"""


@needed("gcc")
def test_a_run_allocates_nothing(small: Emitted, tmp_path: Path) -> None:
    save(small, tmp_path)
    (tmp_path / "main.c").write_text(COUNTING)
    subprocess.run(
        ["gcc", *FLAGS, "main.c", "net.c", "-o", "a", "-pthread", "-lm",
         "-Wl,--wrap=malloc,--wrap=calloc"], cwd=tmp_path, check=True,
    )  # fmt: skip
    said = subprocess.run(
        [tmp_path / "a", tmp_path / "net.bin"], capture_output=True, text=True, check=True
    )
    code, before, after = map(int, said.stdout.split())
    assert code == 0
    assert before == after > 0


# ---- what callers do wrong


@pytest.fixture(scope="module")
def library(small: Emitted, tmp_path_factory: pytest.TempPathFactory) -> ctypes.CDLL:
    folder = tmp_path_factory.mktemp("library")
    loaded(small, folder)
    found = ctypes.CDLL(str(folder / "net.so"))
    for name in ("error_text", "last_error", "name", "input_name", "input_format", "output_name"):
        getattr(found, f"net_{name}").restype = ctypes.c_char_p
    for name in ("output_dimension", "output_size", "input_dimension"):
        getattr(found, f"net_{name}").restype = ctypes.c_int64
    for name in ("weights_bytes", "input_bytes"):
        getattr(found, f"net_{name}").restype = ctypes.c_size_t
    return found


OK, NULL, BAD, _, _, NO_FILE, SHORT, OTHER, CHECKSUM = range(9)


def create(library: ctypes.CDLL, weights: bytes | None, threads: int = 1) -> int:
    """Create and destroy; what it returned."""
    handle = ctypes.c_void_p(1)
    code: int = library.net_create(
        ctypes.byref(handle), weights, ctypes.c_size_t(len(weights or b"")), threads
    )
    assert (handle.value is None) == (code != OK)
    library.net_destroy(handle)
    return code


def test_weights_that_are_not_its_own(library: ctypes.CDLL, small: Emitted) -> None:
    whole = small.weights
    assert len(whole) == library.net_weights_bytes()
    assert create(library, whole) == OK
    assert create(library, None) == NULL
    for length in (0, 1, 47, 63, 64, 65, len(whole) // 2, len(whole) - 4, len(whole) - 1):
        assert create(library, whole[:length]) == SHORT, length
    assert create(library, whole + b"\0") == SHORT
    random = np.random.default_rng(0)
    for at in (64, len(whole) - 1, *random.integers(64, len(whole), 30)):
        damaged = bytearray(whole)
        damaged[at] ^= 1 << random.integers(8)
        assert create(library, bytes(damaged)) == CHECKSUM, at
    expected = {range(20): OTHER, range(20, 24): CHECKSUM, range(24, 48): OTHER}
    for places, code in expected.items():
        for at in places:
            damaged = bytearray(whole)
            damaged[at] ^= 4
            assert create(library, bytes(damaged)) == code, at
    assert create(library, bytes(len(whole))) == OTHER


@pytest.mark.slow
def test_other_networks_weights(library: ctypes.CDLL) -> None:
    wider = Small().eval()
    wider.classifier = nn.Linear(24, 8)
    for model, size, isa in ((wider, SIZE, "portable"), (Small().eval(), SIZE + 2, "portable"),
                             (Small().eval(), SIZE, "avx512")):  # fmt: skip
        assert create(library, emitted(model, size, ISAS[isa]).weights) == OTHER
    bytes_ = ImageFormat("NHWC", "uint8", (0.01,) * 3, (-1.0,) * 3)
    other = emitted(Small().eval(), SIZE, ISAS["portable"], bytes_).weights
    assert create(library, other) == OTHER


def test_the_same_network_trained_differently(library: ctypes.CDLL, small: Emitted) -> None:
    trained = Small().eval()
    nn.init.normal_(trained.classifier.weight)
    weights = emitted(trained, SIZE, ISAS["portable"]).weights
    assert weights != small.weights
    assert create(library, weights) == OK


def test_files_of_weights(library: ctypes.CDLL, small: Emitted, tmp_path: Path) -> None:
    def from_file(path: Path | None) -> int:
        handle = ctypes.c_void_p(1)
        name = None if path is None else str(path).encode()
        code: int = library.net_create_from_file(ctypes.byref(handle), name, 1)
        assert (handle.value is None) == (code != OK)
        library.net_destroy(handle)
        return code

    cases = {"good": small.weights, "short": small.weights[:100], "empty": b"",
             "long": small.weights + b"1", "text": b"no weights " * 1000}  # fmt: skip
    for name, content in cases.items():
        (tmp_path / name).write_bytes(content)
    found = {name: from_file(tmp_path / name) for name in cases}
    assert found == {"good": OK, "short": SHORT, "empty": SHORT, "long": SHORT, "text": OTHER}
    assert from_file(None) == NULL
    assert from_file(tmp_path / "none") == NO_FILE
    assert from_file(tmp_path) == NO_FILE


def test_arguments(library: ctypes.CDLL, small: Emitted) -> None:
    weights = small.weights
    assert library.net_create(None, weights, ctypes.c_size_t(len(weights)), 1) == NULL
    assert library.net_create_from_file(None, b"net.bin", 1) == NULL
    for threads in (0, -1, 5000, 2**31 - 1):
        assert create(library, weights, threads) == BAD
    library.net_destroy(None)
    assert library.net_run(None, None, ctypes.c_int64(1), None) == NULL
    assert b"NULL" in library.net_last_error(None)
    handle = ctypes.c_void_p()
    room = ctypes.create_string_buffer(len(weights) + 1)  # at an odd address, too
    for start in (0, 1):
        ctypes.memmove(ctypes.addressof(room) + start, weights, len(weights))
        place = ctypes.c_void_p(ctypes.addressof(room) + start)
        assert library.net_create(
            ctypes.byref(handle), place, ctypes.c_size_t(len(weights)), 2
        ) == OK  # fmt: skip
        image = np.zeros((1, 3, SIZE, SIZE), np.float32)
        scores = np.zeros(7, np.float32)
        pointers = (ctypes.c_void_p * 1)(scores.ctypes.data)
        images = ctypes.c_void_p(image.ctypes.data)
        calls = (
            ((images, 1, pointers), OK), ((None, 1, pointers), NULL), ((images, 1, None), NULL),
            ((images, 1, (ctypes.c_void_p * 1)()), NULL), ((images, 0, pointers), BAD),
            ((images, -3, pointers), BAD), ((images, 1, pointers), OK),
        )  # fmt: skip
        for (x, batch, out), code in calls:
            assert library.net_run(handle, x, ctypes.c_int64(batch), out) == code
            assert library.net_last_error(handle) == library.net_error_text(code)
        agree([scores[None]], Small().eval(), image)
        library.net_destroy(handle)


def test_shapes_and_names(library: ctypes.CDLL) -> None:
    assert library.net_name() == b"net"
    assert library.net_input_format() == b"float32 NCHW"
    dimensions = [library.net_input_dimension(i) for i in range(library.net_input_rank())]
    assert dimensions == [3, SIZE, SIZE]
    assert library.net_input_bytes() == 4 * 3 * SIZE * SIZE
    assert library.net_output_count() == 1
    assert library.net_output_name(0) == b"output"
    assert (library.net_output_rank(0), library.net_output_dimension(0, 0)) == (1, 7)
    assert library.net_output_size(0) == 7
    for wrong in (-1, 1, 2**31 - 1):
        assert library.net_output_name(wrong) == b""
        assert library.net_output_rank(wrong) == library.net_output_size(wrong) == 0
        assert library.net_output_dimension(wrong, 0) == library.net_output_dimension(0, wrong) == 0
    assert library.net_input_dimension(-1) == library.net_input_dimension(3) == 0
    texts = [library.net_error_text(code) for code in (*range(9), -1, 99)]
    assert len(set(texts)) == 10  # the last two are both unknown


def test_instances_side_by_side(small: Emitted, tmp_path: Path) -> None:
    loaded(small, tmp_path)
    model = Small().eval()
    failures: list[BaseException] = []

    def work(number: int) -> None:
        try:
            network = Network(tmp_path / "net.so", "net", small.weights, 1 + number % 2)
            for turn in range(20):
                x = images_of(SIZE, 1 + (number + turn) % 3)
                agree(list(network(x)), model, x)
        except BaseException as failure:
            failures.append(failure)

    workers = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join()
    assert not failures


# ---- names


@pytest.mark.parametrize(
    ("name", "made"),
    [
        ("shufflenet_v2_x0_5", "shufflenet_v2_x0_5"), ("my.nets:Net9", "my_nets_net9"),
        ("int", "int_network"), ("double", "double_network"), ("exp", "exp_network"),
        ("Tile", "tile_network"), ("3d", "network_3d"), ("Сеть", "network_network"),
        ("", "network_network"), ("class", "class_network"),
    ],
)  # fmt: skip
def test_names_that_c_takes(name: str, made: str) -> None:
    assert identifier(name) == made


@pytest.mark.parametrize("name", ['"quoted" \\', "a */ b", "/* a", "??/", "line\nbreak", "int"])
@needed("gcc")
def test_any_name_compiles(name: str, tmp_path: Path) -> None:
    model = nn.Sequential(nn.Conv2d(3, 4, 1))
    model.add_module('odd*/ "name\\', nn.ReLU())
    one = emitted(model.eval(), 8, ISAS["portable"], name=name)
    program = build(one, tmp_path, "gcc")
    x = images_of(8)
    agree(run(one, program, x, shapes_of(model, x)), model, x)
    assert "*/" not in in_comment(name)
    assert '"' not in in_string(name).replace('\\"', "").replace('?""?', "")


# ---- images


SCALE, SHIFT = (0.0171, 0.0175, 0.0174), (-2.11, -2.03, -1.8)
FORMATS = [
    ImageFormat(), ImageFormat("NHWC"), ImageFormat("NHWC", "uint8", SCALE, SHIFT),
    ImageFormat("NHWC", "uint8", SCALE, SHIFT, True), ImageFormat("NHWC", "uint8"),
    ImageFormat("NHWC", "uint8", SCALE, (), True), ImageFormat("NHWC", "uint8", (0.0,) * 3, SHIFT),
    ImageFormat("NCHW", "float32", SCALE, SHIFT, True),
    ImageFormat("NHWC", "float32", SCALE, SHIFT),
]  # fmt: skip


class Padded(nn.Module):
    """Dense, grouped and depthwise convolutions of images, all of them padded."""

    def __init__(self) -> None:
        super().__init__()
        torch.manual_seed(0)
        self.dense = nn.Conv2d(3, 5, 3, stride=2, padding=1, bias=False)
        self.single = nn.Conv2d(3, 6, 3, padding=2, groups=3)
        self.swapped = nn.Conv2d(2, 4, (3, 1), padding=(1, 0))

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return self.dense(x), self.single(x), self.swapped(x[:, [2, 0]])


class Depthwise(Padded):
    """A depthwise convolution of images reads them gathered."""

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return self.dense(x), functional.conv2d(x, self.single.weight[:3], padding=1, groups=3)


class NotOnlyConvolved(Padded):
    """The images are read by others, too, and are an output."""

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        return self.dense(x), x.mean((2, 3)), x * 2, x


def check_images(model: nn.Module, image: ImageFormat, folder: Path) -> None:
    """Against float64, which reads the images as the formula says."""
    pixels = np.random.default_rng(0).integers(0, 256, (2, 9, 11, 3), np.uint8)
    given = pixels if image.dtype == "uint8" else (pixels / 64 - 2).astype(np.float32)
    read = given[..., ::-1] if image.reverse else given
    x = read * np.array(image.scale or 1.0) + np.array(image.shift or 0.0)
    with torch.no_grad():
        expected = leaves(model.double()(torch.from_numpy(x.transpose(0, 3, 1, 2).copy())))
        model.float()
    if image.planes:
        given = given.transpose(0, 3, 1, 2)
    one = emitted(model, (9, 11), host(), image)
    for threads in (1, 3):
        network = loaded(one, folder, threads)
        for mine, true in zip(network(given), expected, strict=True):
            assert error(mine, true) <= 2e-6


@pytest.mark.slow
@pytest.mark.parametrize("make", [Padded, Depthwise, NotOnlyConvolved])
@pytest.mark.parametrize("image", FORMATS, ids=str)
def test_images_as_they_come(
    make: Callable[[], nn.Module], image: ImageFormat, tmp_path: Path
) -> None:
    check_images(make().eval(), image, tmp_path)


class ReadThrough(Padded):
    """What moves pixels before a convolution of images, so that their border is read elsewhere."""

    def __init__(self, kind: str) -> None:
        super().__init__()
        self.kind = kind
        self.more = nn.Conv2d(8, 4, 3, padding=1)

    def forward(self, x: torch.Tensor) -> tuple[torch.Tensor, ...]:
        move = {
            "a constant around": lambda: functional.pad(x, (1, 2, 0, 1), value=0.5),
            "mirrored": lambda: functional.pad(x, (2, 1, 2, 1), mode="reflect"),
            "cropped": lambda: functional.pad(x[:, :, 1:-1, 2:], (-1, 0, 1, -2)),
            "flipped": lambda: x.flip(3),
            "enlarged": lambda: functional.interpolate(x, scale_factor=2),
            "beside others": lambda: x,
            "added": lambda: self.swapped(x[:, :2])[:, :3] + x,
        }[self.kind]
        if self.kind == "beside others":
            same = functional.interpolate(torch.relu(self.dense(x)), size=x.shape[2:])
            return (self.more(torch.cat((x, same), 1)),)
        return self.dense(move()), self.dense(x)


@pytest.mark.parametrize(
    "kind",
    ["a constant around", "mirrored", "cropped", "flipped", "enlarged", "beside others", "added"],
)
def test_bytes_read_through_moves(kind: str, tmp_path: Path) -> None:
    check_images(ReadThrough(kind).eval(), FORMATS[3], tmp_path)


# ---- checked builds


ADDRESS = ("-O1", "-g", "-fsanitize=address,undefined", "-fno-sanitize-recover=all")
THREAD = ("-O1", "-g", "-fsanitize=thread")


def runs_with(folder: Path, flags: tuple[str, ...], env: dict[str, str]) -> bool:
    """Whether a program that is built so runs here at all."""
    if shutil.which("gcc") is None:
        return False
    (folder / "probe.c").write_text("int main(void) { return 0; }")
    made = subprocess.run(
        ["gcc", *flags, "probe.c", "-o", "probe"], cwd=folder, capture_output=True, check=False
    )
    if made.returncode:
        return False
    probe = [folder / "probe"]
    env = {**os.environ, **env}
    return subprocess.run(probe, env=env, capture_output=True, check=False).returncode == 0


def settings_of_address_sanitizer(folder: Path) -> dict[str, str]:
    """Leaks are not looked for where a process may not trace itself."""
    for env in ({}, {"ASAN_OPTIONS": "detect_leaks=0"}):
        if runs_with(folder, ADDRESS, env):
            return env
    pytest.skip("gcc has no AddressSanitizer here, or it doesn't run")


def check_addresses(model: nn.Module, size: int, folder: Path) -> None:
    env = settings_of_address_sanitizer(folder)
    one = emitted(model, size, host())
    program = build(one, folder, "gcc", *ADDRESS, *host().flags)
    x = images_of(size)
    agree(run(one, program, x, shapes_of(model, x), runs=2, env=env), model, x)


def check_threads(model: nn.Module, size: int, folder: Path) -> None:
    if not runs_with(folder, THREAD, {}):
        pytest.skip("gcc has no ThreadSanitizer here, or it doesn't run")
    one = emitted(model, size, host())
    program = build(one, folder, "gcc", *THREAD, *host().flags)
    x = images_of(size)
    agree(run(one, program, x, shapes_of(model, x), threads=2, runs=3), model, x)


@pytest.mark.slow
@pytest.mark.parametrize("key", CHECKED)
def test_no_wrong_addresses(key: str, tmp_path: Path) -> None:
    check_addresses(*form(key), tmp_path)


@pytest.mark.exhaustive
@pytest.mark.parametrize("key", [key for key in FORMS if key not in CHECKED])
def test_no_wrong_addresses_anywhere(key: str, tmp_path: Path) -> None:
    check_addresses(*form(key), tmp_path)


@pytest.mark.slow
def test_failures_leak_nothing(tmp_path: Path, small: Emitted) -> None:
    env = settings_of_address_sanitizer(tmp_path)
    program = build(small, tmp_path, "gcc", *ADDRESS)
    images_of(SIZE).tofile(tmp_path / "images.raw")
    for weights in (small.weights[:-1], b"x" * len(small.weights), small.weights[:-1] + b"x"):
        (tmp_path / "net.bin").write_bytes(weights)
        done = subprocess.run(
            [program, "net.bin", "images.raw", "outputs.raw", "2", "1"],
            cwd=tmp_path, capture_output=True, text=True, check=False,
            env={**os.environ, **env},
        )  # fmt: skip
        assert done.returncode == 1
        assert done.stderr.startswith("the weights are")
        assert done.stderr.count("\n") == 1


@pytest.mark.slow
@pytest.mark.parametrize("key", ["shufflenet_v2_se", "alexnet", "resnext", "condensenet"])
def test_no_races(key: str, tmp_path: Path) -> None:
    check_threads(*form(key), tmp_path)


@pytest.mark.exhaustive
@pytest.mark.parametrize("key", FORMS)
def test_no_races_anywhere(key: str, tmp_path: Path) -> None:
    check_threads(*form(key), tmp_path)


# ---- aarch64

ARM = "aarch64-linux-gnu-gcc"
EMULATOR = "qemu-aarch64-static"


def check_aarch64(model: nn.Module, size: int, folder: Path) -> None:
    one = emitted(model, size, ISAS["neon"])
    program = build(one, folder, ARM, "-O2", "-static", *ISAS["neon"].flags)
    x = images_of(size)
    agree(run(one, program, x, shapes_of(model, x), threads=2, before=[EMULATOR]), model, x)


@needed(ARM, EMULATOR)
@pytest.mark.slow
@pytest.mark.parametrize("key", CHECKED)
def test_aarch64(key: str, tmp_path: Path) -> None:
    check_aarch64(*form(key), tmp_path)


@pytest.mark.slow
@needed(ARM, EMULATOR)
def test_aarch64_small(tmp_path: Path) -> None:
    check_aarch64(Small().eval(), SIZE, tmp_path)


@needed(ARM, EMULATOR)
@pytest.mark.exhaustive
@pytest.mark.parametrize("key", [key for key in FORMS if key not in CHECKED])
def test_aarch64_anywhere(key: str, tmp_path: Path) -> None:
    check_aarch64(*form(key), tmp_path)
