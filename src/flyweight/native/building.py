"""From C source to a shared library, kept by its content."""

import functools
import hashlib
import os
import shlex
import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from flyweight.errors import FlyweightError
from flyweight.files import replaced_together
from flyweight.native.isa import Isa, isa_of

FLAGS = ("-std=c11", "-O3", "-ffp-contract=fast", "-fno-math-errno", "-Wall", "-Wextra",
         "-Wno-psabi")  # fmt: skip
_REMEDY = "install one (apt install gcc), set CC, or use engine 'onnxruntime'"


def compiler() -> list[str]:
    """The C compiler's command: CC, or cc, gcc or clang.

    Raises:
        FlyweightError: there is none.
    """
    asked = os.environ.get("CC", "")
    try:
        given = shlex.split(asked)
    except ValueError as error:
        raise FlyweightError(f"CC is {asked!r}: {error}; {_REMEDY}") from error
    if given:
        if shutil.which(given[0]) is None:
            raise FlyweightError(
                f"the native engine finds no compiler {given[0]!r} (CC): {_REMEDY}"
            )
        return given
    for name in ("cc", "gcc", "clang"):
        if shutil.which(name):
            return [name]
    raise FlyweightError(f"the native engine needs a C compiler and finds none: {_REMEDY}")


def has_compiler() -> bool:
    """Whether there is a C compiler."""
    try:
        return bool(compiler())
    except FlyweightError:
        return False


@functools.cache
def _asked(command: tuple[str, ...]) -> str:
    """What the compiler says to a question."""
    try:
        done = subprocess.run(
            command, input="", capture_output=True, text=True, check=True, timeout=60
        )
    except subprocess.CalledProcessError as error:
        said = _line(error.stderr)
        raise FlyweightError(f"{command[0]} fails: {said}; {_REMEDY}") from error
    except (OSError, subprocess.SubprocessError) as error:
        raise FlyweightError(f"{command[0]} fails: {error}; {_REMEDY}") from error
    return done.stdout


def _line(text: str) -> str:
    """The first line that says what is wrong."""
    lines = text.strip().splitlines() or ["it says nothing"]
    return next((line for line in lines if "error" in line), lines[0])


def host_isa() -> Isa:
    """The instruction set that the compiler uses on this machine.

    Raises:
        FlyweightError: no compiler, or one that fails.
    """
    said = _asked((*compiler(), *host_flags(), "-dM", "-E", "-x", "c", "-"))
    macros = {line.split()[1] for line in said.splitlines() if line.startswith("#define ")}
    return isa_of(macros)


def host_flags() -> tuple[str, ...]:
    """What tells the compiler to use all of this machine's instructions."""
    return ("-march=native",)


def version() -> str:
    """The first line that the compiler says of itself."""
    return _asked((*compiler(), "--version")).splitlines()[0]


def cache_folder(name: str) -> Path:
    """A folder for what can be made again: in XDG_CACHE_HOME or ~/.cache.

    Raises:
        FlyweightError: it can't be made.
    """
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    try:
        base = base if base.is_absolute() else Path.home() / ".cache"
        folder = base / "flyweight" / name
        folder.mkdir(parents=True, exist_ok=True)
    except (OSError, RuntimeError) as error:
        raise FlyweightError(
            f"can't keep compiled networks: {error}; set XDG_CACHE_HOME to a folder that can be"
            " written to"
        ) from error
    return folder


def build(files: dict[str, str], source: str, flags: Sequence[str]) -> Path:
    """Compile C source to a shared library, unless that was done before.

    Args:
        files: contents by name.
        source: the name of the file to compile.
        flags: for the machine.

    Returns:
        The library.

    Raises:
        FlyweightError: no compiler, one that fails, or nowhere to keep the result.
    """
    command = [*compiler(), *FLAGS, *flags]
    about = [_asked((*compiler(), "--version")), *command, *files, *files.values()]
    if "-march=native" in flags:
        about.append(_asked((*compiler(), *flags, "-dM", "-E", "-x", "c", "-")))
    key = hashlib.sha256("\0".join(about).encode()).hexdigest()[:32]
    library = cache_folder("native") / f"{Path(source).stem}-{key}.so"
    if library.exists():
        return library
    with replaced_together([library]) as folder:
        for name, content in files.items():
            (folder / name).write_text(content, encoding="utf-8")
        compile_shared(folder / source, folder / library.name, flags)
    return library


def compile_shared(source: Path, library: Path, flags: Sequence[str]) -> None:
    """Compile a C file to a shared library, wherever it is wanted.

    Args:
        source: the C file; what it includes lies beside it.
        library: the file to write.
        flags: for the machine.

    Raises:
        FlyweightError: no compiler, or one that fails.
    """
    command = [*compiler(), *FLAGS, *flags, "-shared", "-fPIC", "-o", str(library), source.name]
    try:
        done = subprocess.run(
            [*command, "-pthread", "-lm"], cwd=source.parent, capture_output=True, text=True,
            check=False,
            # What a compiler that is killed leaves behind goes with the folder.
            env={**os.environ, "TMPDIR": str(library.parent)},
        )  # fmt: skip
    except OSError as error:
        raise FlyweightError(f"{command[0]} fails: {error.strerror}; {_REMEDY}") from error
    if done.returncode:
        raise FlyweightError(
            f"{command[0]} fails on {source.name}: {_line(done.stderr)}; set CC to another"
            " compiler, or use engine 'onnxruntime'"
        )
