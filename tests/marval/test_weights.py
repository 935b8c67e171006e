"""Fetching, checking and finding of published files, against a small HTTP server on this machine."""

import contextlib
import fcntl
import hashlib
import http.server
import json
import re
import socket
import threading
from pathlib import Path
from urllib.parse import urlsplit

import pytest
import yaml

from marval import weights
from marval.errors import UserError

CONTENT = bytes(range(256)) * 16384  # 4 MiB
NO_WAITS = (0.0, 0.0)


def sha256(content: bytes) -> str:
    return hashlib.sha256(content).hexdigest()


class Server(http.server.ThreadingHTTPServer):
    """Serves `files`; may break off, refuse ranges, or answer with errors, and counts the bytes that it sends."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), Handler)
        self.files: dict[str, bytes] = {}
        self.break_after: list[int] = []  # one number of bytes for each answer that breaks off
        self.statuses: list[int] = []  # one status for each answer that is an error
        self.ranges = True
        self.content_type = "application/octet-stream"
        self.requests: list[tuple[str | None, int, int]] = []  # range asked for, status, bytes sent

    def url(self, name: str) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}/{name}"


class Handler(http.server.BaseHTTPRequestHandler):
    server: Server

    def do_GET(self) -> None:
        asked, content = self.headers["Range"], self.server.files.get(self.path[1:])
        status = self.server.statuses.pop(0) if self.server.statuses else 200 if content is not None else 404
        etag = f'"{sha256(content or b"")[:8]}"'
        first = 0
        if status == 200 and asked and self.server.ranges and self.headers.get("If-Range", etag) == etag:
            first = start(asked)
            status = 206 if first < len(content or b"") else 416
        body = (content or b"")[first:] if status < 400 else b""
        length = len(body)
        if body and self.server.break_after:
            body = body[: self.server.break_after.pop(0)]
        self.server.requests.append((asked, status, len(body)))
        self.send_response(status)
        self.send_header("Content-Type", self.server.content_type)
        self.send_header("Content-Length", str(length))
        self.send_header("ETag", etag)
        if status == 206:
            self.send_header("Content-Range", f"bytes {first}-{len(content) - 1}/{len(content)}")
        elif status == 416:
            self.send_header("Content-Range", f"bytes */{len(content)}")
        self.end_headers()
        with contextlib.suppress(ConnectionError):  # a client that has seen enough
            self.wfile.write(body)
        self.close_connection = True

    def log_message(self, *_: object) -> None:
        """Nothing on the terminal."""


@pytest.fixture
def server(monkeypatch, tmp_path):
    """The server, and an empty checkout whose registry has nothing yet."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    Path("workflow").mkdir()
    server = Server()
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
    thread.start()
    yield server
    server.shutdown()
    server.server_close()
    thread.join()


def register(**entries: list[dict]) -> None:
    head = {"what": "a test", "page": "https://example.org", "licence": "MIT"}
    content = {name.replace("_", "-"): {**head, "files": files} for name, files in entries.items()}
    Path("workflow/weights.yaml").write_text(yaml.safe_dump(content))


def file_entry(*urls: str, path: str = "model.pth", content: bytes | None = CONTENT) -> dict:
    """An entry's file; with content: None, neither size nor hash is published."""
    known = {"about": "4 MB"} if content is None else {"bytes": len(content), "sha256": sha256(content)}
    return {"path": path, "urls": list(urls), **known}


@pytest.fixture
def published(server) -> Server:
    server.files["model.pth"] = CONTENT
    register(net=[file_entry(server.url("model.pth"))])
    return server


def start(asked: str | None) -> int:
    """First byte of a range that was asked for."""
    assert asked is not None
    return int(asked.removeprefix("bytes=").removesuffix("-"))


def folder() -> set[str]:
    return {str(p.relative_to("weights/net")) for p in Path("weights/net").rglob("*") if p.is_file()}


def test_a_file_is_fetched_once_and_checked(published, capfd):
    assert [item.path for item in weights.missing(["net"])] == [Path("weights/net/model.pth")]
    weights.fetch(["net"])
    assert weights.path_of("net").read_bytes() == CONTENT
    assert folder() == {"model.pth"}
    assert weights.missing(["net"]) == []
    weights.require(["net"])
    assert weights.sha256_of("net") == sha256(CONTENT)
    weights.fetch(["net"])
    assert published.requests == [(None, 200, len(CONTENT))]
    assert re.search(r"net/model.pth +100%.* 5/5 ", capfd.readouterr().err)


def test_an_interrupted_download_goes_on_where_it_broke_off(published):
    published.break_after = [2_500_000, 1_000_000]
    weights.fetch(["net"], NO_WAITS)
    assert weights.path_of("net").read_bytes() == CONTENT
    (first, _, _), (second, status, sent), (third, _, rest) = published.requests
    assert first is None
    assert 1_000_000 < start(second) <= 2_500_000
    assert (status, sent) == (206, 1_000_000)
    assert start(second) <= start(third) <= start(second) + 1_000_000
    assert rest == len(CONTENT) - start(third)
    assert folder() == {"model.pth"}


def test_a_later_run_goes_on_where_an_earlier_one_gave_up(published):
    published.break_after = [3_000_000]
    with pytest.raises(UserError, match="the connection breaks off"):
        weights.fetch(["net"], ())
    assert folder() == {"model.pth.part", "model.pth.part.etag"}
    weights.fetch(["net"], ())
    asked, status, sent = published.requests[1]
    assert start(asked) > 1_000_000
    assert (status, sent) == (206, len(CONTENT) - start(asked))
    assert weights.path_of("net").read_bytes() == CONTENT


def test_a_finished_part_is_taken_as_it_is(published):
    Path("weights/net").mkdir(parents=True)
    Path("weights/net/model.pth.part").write_bytes(CONTENT)
    weights.fetch(["net"], ())
    assert published.requests == [(f"bytes={len(CONTENT)}-", 416, 0)]
    assert weights.path_of("net").read_bytes() == CONTENT


def test_a_part_longer_than_the_file_is_thrown_away(published):
    Path("weights/net").mkdir(parents=True)
    Path("weights/net/model.pth.part").write_bytes(CONTENT + b"more")
    weights.fetch(["net"], NO_WAITS)
    assert [status for _, status, _ in published.requests] == [416, 200]
    assert weights.path_of("net").read_bytes() == CONTENT


def test_two_processes_do_not_write_into_one_file(published):
    Path("weights/net").mkdir(parents=True)
    with Path("weights/net/model.pth.part").open("ab") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(UserError, match="another process is fetching it"):
            weights.fetch(["net"])
    weights.fetch(["net"])
    assert weights.path_of("net").read_bytes() == CONTENT


def test_a_server_without_ranges_starts_again(published):
    published.ranges = False
    published.break_after = [3_000_000]
    weights.fetch(["net"], NO_WAITS)
    assert [status for _, status, _ in published.requests] == [200, 200]
    assert weights.path_of("net").read_bytes() == CONTENT


def test_two_versions_of_a_file_are_never_joined(server):
    other = CONTENT[::-1]
    register(net=[file_entry(server.url("model.pth"), content=None)])
    server.files["model.pth"] = CONTENT
    server.break_after = [3_000_000]
    with pytest.raises(UserError):
        weights.fetch(["net"], ())
    server.files["model.pth"] = other
    weights.fetch(["net"], ())
    assert weights.path_of("net").read_bytes() == other


def test_a_busy_server_is_asked_again(published):
    published.statuses = [503, 429]
    weights.fetch(["net"], NO_WAITS)
    assert [status for _, status, _ in published.requests] == [503, 429, 200]


def test_a_wrong_hash_is_refused_and_kept_aside(published):
    wrong = CONTENT[:-1] + b"?"
    published.files["model.pth"] = wrong
    with pytest.raises(UserError) as error:
        weights.fetch(["net"])
    assert sha256(wrong) in str(error.value)
    assert sha256(CONTENT) in str(error.value)
    assert folder() == {"model.pth.refused"}
    assert Path("weights/net/model.pth.refused").read_bytes() == wrong


def test_the_next_address_is_tried(published):
    published.files["wrong.pth"] = b"?" * len(CONTENT)
    entry = file_entry(*(published.url(name) for name in ("none.pth", "wrong.pth", "model.pth")))
    register(net=[entry])
    weights.fetch(["net"])
    assert [status for _, status, _ in published.requests] == [404, 200, 200]
    assert weights.path_of("net").read_bytes() == CONTENT


@pytest.mark.parametrize(
    ("files", "content_type", "reason"),
    [
        ({}, "application/octet-stream", "127.0.0.1 answers 404 Not Found"),
        ({"model.pth": CONTENT}, "text/html; charset=utf-8", "a web page instead of the file"),
        ({"model.pth": CONTENT[:-5]}, "application/octet-stream", "offers 4194299 bytes instead of 4194304"),
    ],
)
def test_what_is_not_the_file_is_not_read(server, files, content_type, reason):
    server.files, server.content_type = files, content_type
    register(net=[file_entry(server.url("model.pth"))])
    with pytest.raises(UserError, match=re.escape(reason)):
        weights.fetch(["net"], NO_WAITS)
    assert len(server.requests) == 1  # asking again would not help
    assert not weights.path_of("net").exists()


def test_without_a_network_one_message_lists_everything(server):
    with socket.socket() as unused:
        unused.bind(("127.0.0.1", 0))
        closed = f"http://127.0.0.1:{unused.getsockname()[1]}"
    server.files["vocab.txt"] = b"words"
    register(
        net=[file_entry(f"{closed}/a.pth")],
        words=[
            file_entry(f"{closed}/model.pth", path="sub/model.pth"),
            file_entry(server.url("vocab.txt"), path="vocab.txt", content=b"words"),
        ],
    )
    with pytest.raises(UserError) as error:
        weights.fetch(["net", "words"], (-1.0,))  # a wait that would fail: for no network, nobody waits
    head, *lines = str(error.value).splitlines()
    assert head.startswith("2 files of weights are missing")
    assert lines == [
        f"  weights/net/model.pth  (4.19 MB)  from {closed}/a.pth  [no connection to 127.0.0.1]",
        f"  weights/words/sub/model.pth  (4.19 MB)  from {closed}/model.pth  [no connection to 127.0.0.1]",
    ]
    assert not any(path.suffix == ".part" for path in Path("weights").rglob("*"))
    assert weights.path_of("words") == Path("weights/words")
    with pytest.raises(UserError) as error:
        weights.require(["net", "words"])
    assert "make weights" in str(error.value)
    assert [line.split("  ")[1] for line in str(error.value).splitlines()[1:]] == [
        "weights/net/model.pth", "weights/words/sub/model.pth",
    ]  # fmt: skip


def place(content: bytes) -> Path:
    path = weights.path_of("net")
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
    return path


def test_a_file_placed_by_hand_is_used(published):
    place(CONTENT)
    weights.require(["net"])
    weights.fetch(["net"])
    assert published.requests == []


def test_a_wrong_file_placed_by_hand_is_refused_and_kept_aside(published, capfd):
    path = place(b"something else")
    with pytest.raises(UserError) as error:
        weights.require(["net"])
    assert "\n" not in str(error.value)
    for part in (str(path), "model.pth.refused", sha256(b"something else"), sha256(CONTENT), "weights.yaml"):
        assert part in str(error.value)
    assert folder() == {"model.pth.refused"}
    place(b"something else again")
    weights.fetch(["net"])  # says so, and fetches the right one
    assert sha256(b"something else again") in capfd.readouterr().err
    assert path.read_bytes() == CONTENT


def test_a_file_without_published_hash_is_pinned_when_it_is_first_seen(server):
    register(net=[file_entry(server.url("model.pth"), content=None)])
    server.files["model.pth"] = CONTENT
    weights.fetch(["net"])
    pins = json.loads(Path("weights/pinned.json").read_text())
    assert pins["net/model.pth"]["sha256"] == sha256(CONTENT)
    assert weights.sha256_of("net") == sha256(CONTENT)
    place(b"changed")
    with pytest.raises(UserError, match=r"pinned\.json") as error:
        weights.require(["net"])
    assert sha256(b"changed") in str(error.value)
    assert sha256(CONTENT) in str(error.value)
    assert folder() == {"model.pth.refused"}


def test_a_published_hash_outweighs_a_pin(server):
    """A hash that becomes known later is checked, even of a file that was pinned before."""
    register(net=[file_entry(server.url("model.pth"), content=None)])
    place(b"not published")
    weights.require(["net"])
    register(net=[file_entry(server.url("model.pth"))])
    with pytest.raises(UserError, match=r"moved to model\.pth\.refused"):
        weights.require(["net"])


def test_an_unknown_name_is_answered_with_the_nearest(published):
    with pytest.raises(UserError, match="has no 'nett'; did you mean 'net'"):
        weights.path_of("nett")


@pytest.mark.parametrize(
    "text",
    ["net: {", "net: {files: []}", "net: {what: w, page: p, licence: l, files: [{path: ../a, urls: [u]}]}"],
)
def test_a_broken_registry_is_named(server, text):
    Path("workflow/weights.yaml").write_text(text)
    with pytest.raises(UserError, match=r"^workflow/weights\.yaml cannot be read") as error:
        weights.registry()
    assert "\n" not in str(error.value)


def test_the_registry_names_every_published_file(root, monkeypatch):
    monkeypatch.chdir(root)
    names = [
        "mar-base", "mar-large", "mar-huge", "kl16", "inception", "dinov2", "adm-statistics", "clip-l", "clip-b",
        "image-reward", "pick-score",
    ]  # fmt: skip
    assert list(weights.registry()) == names
    for entry in weights.registry().values():
        assert entry.what
        assert entry.licence
        for url in (entry.page, *(url for file in entry.files for url in file.urls)):
            assert url.startswith("https://")
    for item in weights.wanted(names):
        for part in re.findall(r"[0-9a-f]{64}", item.file.urls[0]):
            assert part == item.file.sha256  # OpenAI's addresses contain the hash
        if "huggingface.co" in item.file.urls[0]:
            assert re.search(
                r"/resolve/[0-9a-f]{40}/", item.file.urls[0]
            )  # a commit, not a branch that may move
    assert weights.path_of("mar-base") == Path("weights/mar-base/checkpoint-last.pth")
    assert weights.path_of("pick-score") == Path("weights/pick-score")


@pytest.mark.parametrize("name", ["clip-l", "clip-b", "kl16", "mar-base"])
def test_what_a_preset_starts_from_has_a_second_address_on_another_host(root, name):
    entries = yaml.safe_load((root / "workflow/weights.yaml").read_text())
    for file in entries[name]["files"]:
        hosts = [urlsplit(url).hostname for url in file["urls"]]
        assert len(set(hosts)) == len(hosts) >= 2
        assert "sha256" in file  # so that it does not matter which one answers
