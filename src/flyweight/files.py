"""Files written whole or not at all."""

import contextlib
import hashlib
import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from flyweight.errors import FlyweightError


@contextlib.contextmanager
def replaced(path: Path) -> Iterator[Path]:
    """A temporary file beside `path` that takes its place when the block ends without an error.

    Raises:
        FlyweightError: the file can't be written (no such folder, no permission, full disk).
    """
    temporary: str | None = None
    path = path.resolve()  # a link stays a link
    special = path.exists() and not path.is_file()  # /dev/null, a pipe: never renamed over
    try:
        handle, temporary = tempfile.mkstemp(
            dir=None if special else path.parent, prefix=f".{path.name}."
        )
        os.close(handle)
        # mkstemp's files are private; a result is as readable as any other new file.
        umask = os.umask(0)
        os.umask(umask)
        os.chmod(temporary, 0o666 & ~umask)
        yield Path(temporary)
        if special:
            path.write_bytes(Path(temporary).read_bytes())
        else:
            os.replace(temporary, path)
    except OSError as error:
        raise FlyweightError(f"can't write {path}: {error.strerror or error}") from error
    finally:
        if temporary is not None:
            Path(temporary).unlink(missing_ok=True)


@contextlib.contextmanager
def replaced_together(paths: Sequence[Path]) -> Iterator[Path]:
    """A temporary folder, from which files of the `paths`' names take their places at the end.

    For formats of several files, or whose files must have their own names to be read. They are
    moved in the order given once the block ends without an error, each at one stroke.

    Raises:
        FlyweightError: a file can't be written (no such folder, no permission, full disk).
    """
    paths = [path.resolve() for path in paths]
    folder: str | None = None
    try:
        folder = tempfile.mkdtemp(dir=paths[0].parent, prefix=f".{paths[0].name}.")
        yield Path(folder)
        for path in paths:
            os.replace(Path(folder, path.name), path)
    except OSError as error:
        raise FlyweightError(f"can't write {paths[0]}: {error.strerror or error}") from error
    finally:
        if folder is not None:
            shutil.rmtree(folder, ignore_errors=True)


@contextlib.contextmanager
def replaced_folder(path: Path, old: Sequence[str]) -> Iterator[Path]:
    """A temporary folder that becomes `path` at one stroke when the block ends without an error.

    Where there is a folder already, the files take their places in it, one after another; other
    files in it stay, but for the old ones.

    Args:
        path: the folder.
        old: names of files in it that are of no use without each other.

    Raises:
        FlyweightError: it can't be written (no such folder, no permission, full disk).
    """
    path = path.resolve()
    there = path.is_dir()
    temporary: Path | None = None
    try:
        parent = path if there else path.parent
        temporary = Path(tempfile.mkdtemp(dir=parent, prefix=f".{path.name}."))
        umask = os.umask(0)
        os.umask(umask)
        temporary.chmod(0o777 & ~umask)  # mkdtemp's folders are private
        yield temporary
        if there:
            new = sorted(file.name for file in temporary.iterdir())
            for name in new:
                os.replace(temporary / name, path / name)
            for name in set(old) - set(new):
                (path / name).unlink(missing_ok=True)
        else:
            os.rename(temporary, path)
    except OSError as error:
        raise FlyweightError(f"can't write {path}: {error.strerror or error}") from error
    finally:
        if temporary is not None:
            shutil.rmtree(temporary, ignore_errors=True)


def check_folder(path: Path) -> None:
    """Fail now rather than after a long run, where the folder `path` can't be written.

    Raises:
        FlyweightError: no folder to put it in, no permission, or the path is no folder.
    """
    if path.is_dir():
        _check_folder_of(path, path)
    elif path.exists() or path.is_symlink():
        raise FlyweightError(f"can't write {path}: it is no folder")
    else:
        check_writable(path)


def check_writable(path: Path) -> None:
    """Fail now rather than after a long run, where `path` can't be written.

    Raises:
        FlyweightError: no such folder, no permission, or the path is a folder.
    """
    if path.is_dir():
        raise FlyweightError(f"can't write {path}: it is a folder")
    if not path.parent.is_dir():
        raise FlyweightError(f"can't write {path}: there is no folder {path.parent}")
    if path.exists() and not path.is_file():
        return
    _check_folder_of(path, path.parent)


def _check_folder_of(path: Path, folder: Path) -> None:
    try:
        handle, temporary = tempfile.mkstemp(dir=folder, prefix=f".{path.name}.")
    except OSError as error:
        raise FlyweightError(f"can't write {path}: {error.strerror or error}") from None
    os.close(handle)
    os.unlink(temporary)


def sha256(path: Path) -> str:
    """The SHA-256 of a file's content, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()
