"""Downloads from a server of this machine that does everything that servers do wrong."""

import hashlib
import http.server
import os
import resource
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from pathlib import Path

import pytest

from flyweight.errors import FlyweightError, UsageError
from flyweight.zoo.weights import fetching
from flyweight.zoo.weights.fetching import Fetched, cache, fetch
from flyweight.zoo.weights.public import PublicWeights

CONTENT = bytes(range(256)) * 4096  # 1 MiB
ENTRY = PublicWeights(
    name="net.here",
    model="shufflenet_v2_x0_5",
    url="",
    sha256=hashlib.sha256(CONTENT).hexdigest(),
    size_mib=1.0,
    layout="flyweight",
    licence="MIT",
    top1_error=None,
    top5_error=None,
    source="http://here/page",
    note="ask for it",
)
NAME = "weights v1:2.pth"


@dataclass
class Server:
    """What to do wrong, and what was asked for."""

    url: str = ""
    content: bytes = CONTENT
    ranges: bool = True
    cut: int | None = None
    """Close the connection after so many bytes of content."""
    length: int | None = None
    """Say this for a length."""
    status: int | None = None
    redirect: str = ""
    shift: int = 0
    """Begin so many bytes after what was asked for."""
    delay_s: float = 0.0
    asked: list[tuple[str, str | None]] = field(default_factory=list)
    """Path and range of each request."""


@pytest.fixture
def server(monkeypatch: pytest.MonkeyPatch) -> Iterator[Server]:
    for name in ("http_proxy", "https_proxy", "all_proxy", "no_proxy", fetching.MIRROR):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.upper(), raising=False)
    state = Server()

    class Handler(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            state.asked.append((self.path, self.headers["Range"]))
            time.sleep(state.delay_s)
            if state.redirect and not self.path.endswith("found"):
                self.send_response(302)
                self.send_header("Location", state.redirect)
                self.end_headers()
                return
            if state.status:
                self.send_error(state.status)
                return
            start, total = 0, len(state.content)
            if state.ranges and self.headers["Range"]:
                start = int(self.headers["Range"].removeprefix("bytes=").rstrip("-"))
                if start >= total:
                    self.send_error(416)
                    return
                start += state.shift
                self.send_response(206)
                self.send_header("Content-Range", f"bytes {start}-{total - 1}/{total}")
            else:
                self.send_response(200)
            self.send_header("Content-Length", str(state.length or total - start))
            self.end_headers()
            body = state.content[start:]
            self.wfile.write(body if state.cut is None else body[: state.cut])

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Handler) as listening:
        thread = threading.Thread(target=listening.serve_forever, args=(0.01,))
        thread.start()
        state.url = f"http://127.0.0.1:{listening.server_port}"
        yield state
        listening.shutdown()
        thread.join()


def entry(server: Server, **changes: object) -> PublicWeights:
    given = {"url": f"{server.url}/models/weights%20v1%3A2.pth", **changes}
    return replace(ENTRY, **given)  # type: ignore[arg-type]


def is_whole(fetched: Fetched, folder: Path) -> bool:
    return (
        fetched.path == folder / NAME
        and fetched.path.read_bytes() == CONTENT
        and os.listdir(folder) == [NAME]
    )


def refused(wanted: PublicWeights, folder: Path, words: str, mirror: str = "") -> None:
    with pytest.raises(FlyweightError) as error:
        fetch(wanted, folder, mirror)
    assert words in str(error.value)
    assert "\n" not in str(error.value)


@pytest.mark.parametrize("digits", [64, 10, 8, 0])
def test_whole_download_and_none_the_second_time(
    server: Server, tmp_path: Path, digits: int
) -> None:
    wanted = entry(server, sha256=ENTRY.sha256[:digits])
    shares: list[float] = []
    first = fetch(
        wanted, tmp_path / "new" / "folder", show=lambda text, share: shares.append(share)
    )
    assert is_whole(first, tmp_path / "new" / "folder")
    assert first.downloaded
    assert server.asked == [("/models/weights%20v1%3A2.pth", None)]
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    again = fetch(wanted, tmp_path / "new" / "folder")
    assert again == replace(first, downloaded=False)
    assert len(server.asked) == 1


def test_a_file_is_as_readable_as_any_other(server: Server, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.touch()
    path = fetch(entry(server), tmp_path).path
    assert path.stat().st_mode == other.stat().st_mode


def test_the_cache_is_where_caches_belong(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "caches"))
    assert is_whole(fetch(entry(server)), tmp_path / "caches" / "flyweight" / "weights")
    monkeypatch.setenv("XDG_CACHE_HOME", "relative/paths/do/not/count")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert cache() == tmp_path / ".cache" / "flyweight" / "weights"


def test_a_download_that_is_cut_off_goes_on_where_it_was(server: Server, tmp_path: Path) -> None:
    server.cut = 300_000
    refused(entry(server), tmp_path, f"(300000 of {len(CONTENT)} bytes came): the same command")
    part = tmp_path / (NAME + ".part")
    assert part.read_bytes() == CONTENT[:300_000]
    refused(entry(server), tmp_path, "(600000 of")
    server.cut = None
    assert is_whole(fetch(entry(server), tmp_path), tmp_path)
    assert [asked for _, asked in server.asked] == [None, "bytes=300000-", "bytes=600000-"]


def test_a_server_without_ranges_sends_all_again(server: Server, tmp_path: Path) -> None:
    (tmp_path / (NAME + ".part")).write_bytes(b"x" * 300_000)
    server.ranges = False
    assert is_whole(fetch(entry(server), tmp_path), tmp_path)
    assert [asked for _, asked in server.asked] == ["bytes=300000-"]


def test_another_range_than_asked_for_is_not_taken(server: Server, tmp_path: Path) -> None:
    (tmp_path / (NAME + ".part")).write_bytes(CONTENT[:1000])
    server.shift = 5
    assert is_whole(fetch(entry(server), tmp_path), tmp_path)
    assert [asked for _, asked in server.asked] == ["bytes=1000-", None]


def test_a_part_that_is_whole_is_only_renamed(server: Server, tmp_path: Path) -> None:
    (tmp_path / (NAME + ".part")).write_bytes(CONTENT)
    assert is_whole(fetch(entry(server), tmp_path), tmp_path)
    assert server.asked == []


@pytest.mark.parametrize("extra", [0, 10])
def test_a_part_that_is_too_long_starts_over(server: Server, tmp_path: Path, extra: int) -> None:
    (tmp_path / (NAME + ".part")).write_bytes(b"x" * (len(CONTENT) + extra))
    assert is_whole(fetch(entry(server), tmp_path), tmp_path)
    assert [asked for _, asked in server.asked] == [f"bytes={len(CONTENT) + extra}-", None]


@pytest.mark.parametrize("digits", [64, 8])
def test_another_checksum_removes_what_came(server: Server, tmp_path: Path, digits: int) -> None:
    expected = hashlib.sha256(b"something else").hexdigest()[:digits]
    found = ENTRY.sha256
    refused(entry(server, sha256=expected), tmp_path, f"SHA-256 {expected}")
    assert os.listdir(tmp_path) == []
    refused(entry(server, sha256=expected), tmp_path, f"found {found}: what was downloaded is")


def test_another_file_of_that_name_is_left_alone(server: Server, tmp_path: Path) -> None:
    (tmp_path / NAME).write_bytes(b"mine")
    refused(entry(server), tmp_path, f"{tmp_path / NAME} is another file: move it away")
    assert (tmp_path / NAME).read_bytes() == b"mine"
    assert server.asked == []


def test_refusals_of_the_server(server: Server, tmp_path: Path) -> None:
    server.status = 404
    refused(entry(server), tmp_path, f"can't download {entry(server).url}: 404 Not Found")
    assert os.listdir(tmp_path) == []
    server.status = 503
    refused(entry(server), tmp_path, "503 Service Unavailable")
    (tmp_path / (NAME + ".part")).write_bytes(CONTENT[:1000])
    refused(entry(server), tmp_path, "503 Service Unavailable")
    assert os.listdir(tmp_path) == [NAME + ".part"]


def test_lengths_that_are_wrong(server: Server, tmp_path: Path) -> None:
    server.length = len(CONTENT) + 7
    refused(entry(server), tmp_path, f"({len(CONTENT)} of {len(CONTENT) + 7} bytes came)")
    # The file is whole by its checksum, whatever the server said.
    assert is_whole(fetch(entry(server), tmp_path), tmp_path)
    (tmp_path / NAME).unlink()
    server.length = 1000
    refused(entry(server), tmp_path, "what was downloaded is removed")


def test_nobody_answers(server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    refused(entry(server, url="http://127.0.0.1:9/weights.pth"), tmp_path, "Connection refused")
    monkeypatch.setattr(fetching, "TIMEOUT_S", 0.1)
    server.delay_s = 0.5
    refused(entry(server), tmp_path, "no answer in 0.1 s")
    assert os.listdir(tmp_path) == []


def test_redirects(server: Server, tmp_path: Path) -> None:
    secret = tmp_path / "secret"
    secret.write_bytes(CONTENT)
    folder = tmp_path / "to"
    server.redirect = secret.as_uri()
    refused(entry(server), folder, "302")
    server.redirect = "ftp://127.0.0.1/weights.pth"
    refused(entry(server), folder, "isn't followed")
    server.redirect = f"{server.url}/again"
    refused(entry(server), folder, "302")
    server.redirect = f"{server.url}/found"
    assert is_whole(fetch(entry(server), folder), folder)


def test_the_proxy_of_the_environment(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("http_proxy", server.url)
    far = entry(server, url=f"http://far.invalid/{NAME.replace(' ', '%20')}")
    assert is_whole(fetch(far, tmp_path), tmp_path)
    assert server.asked == [("http://far.invalid/weights%20v1:2.pth", None)]
    monkeypatch.setenv("no_proxy", "far.invalid")
    (tmp_path / NAME).unlink()
    refused(far, tmp_path, "can't download http://far.invalid")


@pytest.mark.parametrize("kind", ["http", "file", "folder", "environment"])
def test_a_mirror_has_the_file_under_its_name(
    server: Server, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kind: str
) -> None:
    folder, store = tmp_path / "to", tmp_path / "my mirror"
    store.mkdir()
    (store / NAME).write_bytes(CONTENT)
    mirror = {
        "http": server.url + "/mirrored/", "file": store.as_uri(), "folder": str(store),
        "environment": "",
    }[kind]  # fmt: skip
    if kind == "environment":
        monkeypatch.setenv(fetching.MIRROR, str(store))
    far = entry(server, url=f"https://far.invalid/a/b/{NAME.replace(' ', '%20')}")
    folder.mkdir()
    (folder / (NAME + ".part")).write_bytes(CONTENT[:1000])
    assert is_whole(fetch(far, folder, mirror), folder)
    expected = [("/mirrored/weights%20v1%3A2.pth", "bytes=1000-")] if kind == "http" else []
    assert server.asked == expected


def test_mirrors_that_are_none(server: Server, tmp_path: Path) -> None:
    refused(entry(server), tmp_path, "No such file or directory", str(tmp_path / "nowhere"))
    refused(entry(server), tmp_path, "another machine, elsewhere", "file://elsewhere/mirror")
    with pytest.raises(UsageError, match="ftp://"):
        fetch(entry(server), tmp_path, "ftp://127.0.0.1/mirror")
    assert os.listdir(tmp_path) == []


def test_weights_without_address_say_where_they_are(server: Server, tmp_path: Path) -> None:
    refused(entry(server, url=""), tmp_path, "by hand from http://here/page (ask for it)")


def test_interruption_leaves_what_came(server: Server, tmp_path: Path) -> None:
    def stop(text: str, share: float) -> None:
        if share > 0.4:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        fetch(entry(server), tmp_path, show=stop)
    part = tmp_path / (NAME + ".part")
    assert 0 < part.stat().st_size < len(CONTENT)
    size = part.stat().st_size
    assert is_whole(fetch(entry(server), tmp_path), tmp_path)
    assert server.asked[-1][1] == f"bytes={size}-"


def test_several_at_once_download_once(server: Server, tmp_path: Path) -> None:
    server.delay_s = 0.2
    said: set[str] = set()
    with ThreadPoolExecutor(4) as pool:
        jobs = [
            pool.submit(fetch, entry(server), tmp_path, "", lambda text, _: said.add(text))
            for _ in range(4)
        ]
        found = [job.result() for job in jobs]
    assert all(is_whole(fetched, tmp_path) for fetched in found)
    assert sum(fetched.downloaded for fetched in found) == 1
    assert len(server.asked) == 1
    assert any(text.startswith("waiting for another") for text in said)


def test_several_at_once_where_the_first_fails(server: Server, tmp_path: Path) -> None:
    server.delay_s = 0.2
    with ThreadPoolExecutor(4) as pool:
        wrong = pool.submit(fetch, entry(server, sha256="00"), tmp_path)
        time.sleep(0.1)
        right = [pool.submit(fetch, entry(server), tmp_path) for _ in range(3)]
        assert isinstance(wrong.exception(), FlyweightError)
        assert all(is_whole(job.result(), tmp_path) for job in right)


def test_where_nothing_can_be_written(server: Server, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    refused(entry(server), tmp_path / "file", f"can't write {tmp_path / 'file'}")
    refused(entry(server), tmp_path / "file" / "folder", f"can't write {tmp_path / 'file'}")
    (tmp_path / NAME).mkdir()
    refused(entry(server), tmp_path, f"can't write {tmp_path / NAME}: Is a directory")
    closed = tmp_path / "closed"
    closed.mkdir(0o500)
    if os.geteuid():  # the superuser may write anywhere
        refused(entry(server), closed, "Permission denied")
    assert server.asked == []


def test_a_disk_without_room_keeps_what_fitted(server: Server, tmp_path: Path) -> None:
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (500_000, limits[1]))
    try:
        refused(entry(server), tmp_path, f"can't write {tmp_path / NAME}.part: File too large")
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    assert (tmp_path / (NAME + ".part")).read_bytes() == CONTENT[:500_000]
    assert is_whole(fetch(entry(server), tmp_path), tmp_path)
    assert server.asked[-1][1] == "bytes=500000-"
