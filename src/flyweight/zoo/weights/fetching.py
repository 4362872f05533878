"""Downloading public weights: whole or not at all, resumed where they broke off, and checked."""

import contextlib
import errno
import fcntl
import http
import http.client
import os
import re
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import IO, BinaryIO, Protocol
from urllib.parse import quote, unquote, urlsplit

from flyweight.errors import FlyweightError, UsageError, first_line
from flyweight.files import sha256
from flyweight.zoo.weights.public import PublicWeights

MIRROR = "FLYWEIGHT_MIRROR"
"""The environment variable with a folder, here or at an address, that has the files of others."""

PARTIAL = ".part"

TIMEOUT_S = 30.0
_CHUNK = 1 << 18
_WAIT_S = 0.1

Show = Callable[[str, float], None]
"""Called with what is being done and the share of it that is done."""


@dataclass(frozen=True)
class Fetched:
    """A file that is there now, and whether it had to be downloaded."""

    path: Path
    downloaded: bool


def cache() -> Path:
    """Where downloads are kept: in the folder for caches of this user.

    Raises:
        FlyweightError: the user has no home.
    """
    base = Path(os.environ.get("XDG_CACHE_HOME", ""))
    try:
        base = base if base.is_absolute() else Path.home() / ".cache"
    except RuntimeError:
        raise FlyweightError("no home folder to keep downloads in: set XDG_CACHE_HOME") from None
    return base / "flyweight" / "weights"


def fetch(
    entry: PublicWeights,
    folder: Path | None = None,
    mirror: str = "",
    show: Show = lambda text, share: None,
) -> Fetched:
    """Download a checkpoint, unless it is there already, and check it.

    What a broken or interrupted download left is continued. Several calls at once wait for the
    first of them.

    Args:
        entry: what to download.
        folder: where to; made where it isn't there. None is the cache.
        mirror: a folder, here or at an address, that has the file under the same name; else what
            the environment variable `FLYWEIGHT_MIRROR` says.
        show: told of the progress.

    Raises:
        UsageError: a mirror of an unknown kind.
        FlyweightError: no address, no connection, a broken one, another file than expected, or
            one that can't be written.
    """
    if not entry.url:
        raise FlyweightError(
            f"{entry.name} has no address to download from: get it by hand from {entry.source}"
            f" ({entry.note})"
        )
    url = _address(entry, mirror or os.environ.get(MIRROR, ""))
    path = (folder or cache()) / entry.file
    part = path.with_name(path.name + PARTIAL)
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        while True:
            if path.exists():
                _check(path, path, entry)
                return Fetched(path, downloaded=False)
            with _locked(part, show) as file:
                if file is None:
                    continue
                if path.exists():
                    part.unlink()
                    continue
                _download(url, file, part, entry, show)
                _check(part, path, entry)
                os.replace(part, path)
                return Fetched(path, downloaded=True)
    except OSError as error:
        where = error.filename or part
        raise FlyweightError(f"can't write {where}: {error.strerror or error}") from None


def _address(entry: PublicWeights, mirror: str) -> str:
    """Where the file is: at its publisher's, or under the same name in a mirror."""
    if not mirror:
        return entry.url
    if "://" not in mirror:
        return (Path(mirror).absolute() / entry.file).as_uri()
    if urlsplit(mirror).scheme not in ("http", "https", "file"):
        raise UsageError(f"mirror {mirror!r}: give a folder, or an address of http, https or file")
    return f"{mirror.rstrip('/')}/{quote(entry.file)}"


def _check(file: Path, path: Path, entry: PublicWeights) -> None:
    """Compare a file's checksum with the published one; a download that differs is removed."""
    found = sha256(file)
    if found.startswith(entry.sha256):
        return
    remedy = f"{file} is another file: move it away, then fetch again"
    if file != path:
        file.unlink()
        remedy = "what was downloaded is removed"
    expected = f"SHA-256 {entry.sha256}" + ("…" if len(entry.sha256) < len(found) else "")
    raise FlyweightError(f"{entry.name}: expected {expected}, found {found}: {remedy}")


@contextlib.contextmanager
def _locked(part: Path, show: Show) -> Iterator[BinaryIO | None]:
    """The partial file, which nobody else writes meanwhile; None where it has gone by then."""
    with open(os.open(part, os.O_RDWR | os.O_CREAT, 0o666), "r+b") as file:
        while not _lock(file):
            show(f"waiting for another download of {part.stem}", 0.0)
            time.sleep(_WAIT_S)
        # Whoever had it may have finished, and another file may have its name by now.
        if not _is_at(file, part):
            yield None
            return
        try:
            yield file
        finally:
            if not os.fstat(file.fileno()).st_size and _is_at(file, part):
                part.unlink()


def _is_at(file: BinaryIO, path: Path) -> bool:
    with contextlib.suppress(FileNotFoundError):
        return os.path.samestat(path.stat(), os.fstat(file.fileno()))
    return False


def _lock(file: IO[bytes]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        if error.errno in (errno.EWOULDBLOCK, errno.EACCES):
            return False
        # Some file systems know no locks: there two downloads at once fail the checksum.
        if error.errno not in (errno.ENOLCK, errno.EOPNOTSUPP, errno.ENOSYS):
            raise
    return True


class _Readable(Protocol):
    def read(self, size: int, /) -> bytes: ...
    def close(self) -> None: ...


@dataclass(frozen=True)
class _Stream:
    """What a server sends: from which byte on, and how long the whole file is where it says so."""

    content: _Readable
    start: int
    total: int | None


def _download(url: str, file: BinaryIO, part: Path, entry: PublicWeights, show: Show) -> None:
    """Bring the partial file to the length of the whole one."""
    done = file.seek(0, os.SEEK_END)
    if done and entry.sha256 and sha256(part).startswith(entry.sha256):
        return
    with _opened(url, done) as stream:
        done = stream.start
        file.truncate(done)
        file.seek(done)
        while chunk := _read(stream, url, part):
            file.write(chunk)
            done += len(chunk)
            show(f"downloading {entry.file}", done / stream.total if stream.total else 0.0)
        file.flush()
        if stream.total is not None and done != stream.total:
            raise _broken(url, f"{done} of {stream.total} bytes came", part)


def _read(stream: _Stream, url: str, part: Path) -> bytes:
    try:
        return stream.content.read(_CHUNK)
    except (OSError, http.client.HTTPException) as error:
        raise _broken(url, _reason(error), part) from None


def _broken(url: str, reason: str, part: Path) -> FlyweightError:
    return FlyweightError(
        f"the download of {url} broke off ({reason}): the same command goes on from {part}"
    )


@contextlib.contextmanager
def _opened(url: str, start: int) -> Iterator[_Stream]:
    """Open an address from some byte on, or from the first where that can't be had."""
    parts = urlsplit(url)
    try:
        if parts.scheme == "file":
            if parts.netloc not in ("", "localhost"):
                raise ValueError(f"a file of another machine, {parts.netloc}")
            stream = _open_file(Path(unquote(parts.path)), start)
        else:
            stream = _open_http(url, start)
    except urllib.error.HTTPError as error:
        error.close()
        raise FlyweightError(f"can't download {url}: {error.code} {_reason(error)}") from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise FlyweightError(f"can't download {url}: {_reason(error)}") from None
    with contextlib.closing(stream.content):
        yield stream


def _open_file(path: Path, start: int) -> _Stream:
    file = path.open("rb")
    total = file.seek(0, os.SEEK_END)
    return _Stream(file, file.seek(start if start <= total else 0), total)


def _open_http(url: str, start: int) -> _Stream:
    request = urllib.request.Request(url, headers={"User-Agent": "flyweight"})
    if start:
        request.add_header("Range", f"bytes={start}-")
    try:
        response = _opener().open(request, timeout=TIMEOUT_S)
    except urllib.error.HTTPError as error:
        if error.code != http.HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE or not start:
            raise
        error.close()
        # What is here is as long as the file or longer, and not what is expected.
        return _open_http(url, 0)
    if response.status == http.HTTPStatus.PARTIAL_CONTENT:
        span = re.fullmatch(r"bytes (\d+)-\d+/(\d+|\*)", response.headers["Content-Range"] or "")
        if span and int(span[1]) == start:
            return _Stream(response, start, None if span[2] == "*" else int(span[2]))
        response.close()
        return _open_http(url, 0)
    length = response.headers["Content-Length"]
    return _Stream(response, 0, int(length) if length else None)


class _Redirects(urllib.request.HTTPRedirectHandler):
    """Redirects lead to the web only, and not from https to http."""

    def redirect_request(self, req, fp, code, msg, headers, newurl):  # type: ignore[no-untyped-def]
        old, new = urlsplit(req.full_url).scheme, urlsplit(newurl).scheme
        if new not in ("http", "https") or (old, new) == ("https", "http"):
            raise urllib.error.URLError(f"it leads to {newurl}, which isn't followed")
        return super().redirect_request(req, fp, code, msg, headers, newurl)


def _opener() -> urllib.request.OpenerDirector:
    """What opens http and https, through the proxies of the environment, and nothing else."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.UnknownHandler(),
        _Redirects(),
    ):
        opener.add_handler(handler)
    return opener


def _reason(error: Exception) -> str:
    """What is wrong with a connection, without urllib's wrapping."""
    reason = getattr(error, "reason", error)
    if isinstance(reason, TimeoutError):
        return f"no answer in {TIMEOUT_S:g} s"
    if isinstance(reason, OSError) and reason.strerror:
        return reason.strerror
    return first_line(reason) if isinstance(reason, Exception) else str(reason).splitlines()[0]
