"""A Hugging Face Hub on loopback with a CDN on another port: its protocol, and whatever can go wrong with it.

Requests are logged, faults are scripted per file and used up one by one.
"""

from __future__ import annotations

import contextlib
import hashlib
import http.server
import json
import re
import ssl
import threading
from collections import defaultdict, deque
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, Self
from urllib.parse import unquote, urlsplit

import pytest
from huggingface_hub import constants

from pytest_llmbench import clock

_FILE = re.compile(r"/(?P<repo>[^/]+/[^/]+)/resolve/(?P<revision>[^/]+)/(?P<file>.+)")
_TREE = re.compile(r"/api/models/(?P<repo>[^/]+/[^/]+)/tree/(?P<revision>[^/]+)")
_CDN = re.compile(r"/cdn/(?P<sha256>[0-9a-f]{64})")


@dataclass(frozen=True, slots=True)
class Seen:
    """One request."""

    server: str
    """`hub` or `cdn`."""
    method: str
    path: str
    headers: Mapping[str, str]
    """Names in lower case."""


@dataclass(frozen=True, slots=True)
class Fault:
    """What is wrong with one answer that carries a file's bytes."""

    cut_after: int | None = None
    """Close the connection after that many bytes of the body."""
    stall_after: int | None = None
    """Send nothing more after that many bytes, until the server is closed."""
    slow_after: int | None = None
    """Wait for `Hub.release` after that many bytes."""
    status: int = 0
    """Answer with this status and no file."""
    headers: Mapping[str, str] = field(default_factory=dict)
    """Replaces headers of the answer; an empty value takes one away."""
    ignores_range: bool = False
    body: bytes | None = None
    """Instead of the file."""


@dataclass(slots=True)
class Repo:
    """A repository: commits with files, and branches that point at them."""

    commits: dict[str, dict[str, bytes]] = field(default_factory=dict)
    branches: dict[str, str] = field(default_factory=dict)
    gated: bool = False
    private: bool = False
    readers: set[str] = field(default_factory=set)
    """Tokens that may read it all the same."""
    lfs: bool = True
    """Whether files are in the large file storage, behind redirects, with their sha256 known."""

    def commit(self, files: Mapping[str, bytes], branch: str = "main") -> str:
        """Add a commit and let a branch point at it."""
        name = hashlib.sha1(f"{len(self.commits)}{sorted(files)}".encode()).hexdigest()
        self.commits[name] = dict(files)
        self.branches[branch] = name
        return name


class Hub:
    """The servers; a context manager."""

    def __init__(self) -> None:
        self.repos: dict[str, Repo] = {}
        self.pages: dict[str, bytes] = {}
        """Path at the CDN → a file there; its faults stand under the same path."""
        self.seen: list[Seen] = []
        self.faults: defaultdict[str, deque[Fault]] = defaultdict(deque)
        """The file's path in its repository → what is wrong with the next answers that carry it."""
        self.head_faults: deque[Fault] = deque()
        self.waits: list[float] = []
        """Seconds that the client would have waited between attempts."""
        self.release = threading.Event()
        """Set it to let slow answers go on."""
        self._closing = threading.Event()
        self._hub = self._server("hub")
        self._cdn = self._server("cdn")
        self.url = f"http://127.0.0.1:{self._hub.server_port}"
        self.cdn_url = f"http://127.0.0.1:{self._cdn.server_port}"

    def __enter__(self) -> Self:
        for server in (self._hub, self._cdn):
            threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._closing.set()
        self.release.set()
        for server in (self._hub, self._cdn):
            server.shutdown()
            server.server_close()

    def repo(self, name: str, files: Mapping[str, bytes], **choices: Any) -> Repo:
        """Add a repository with one commit on `main`."""
        self.repos[name] = Repo(**choices)
        self.repos[name].commit(files)
        return self.repos[name]

    def asked(self, method: str, server: str = "cdn") -> list[Seen]:
        """The requests of one kind."""
        return [seen for seen in self.seen if (seen.method, seen.server) == (method, server)]

    def ranges(self) -> list[str]:
        """The Range headers of all requests to the CDN."""
        return [seen.headers.get("range", "") for seen in self.asked("GET")]

    def wait_closing(self) -> None:
        self._closing.wait(60)

    def _server(self, name: str) -> http.server.ThreadingHTTPServer:
        handler = type(name, (_Handler,), {"hub": self, "role": name})
        server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler)
        server.daemon_threads = True
        return server


class _Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    hub: Hub
    role: str

    def do_HEAD(self) -> None:
        self._route()

    def do_GET(self) -> None:
        self._route()

    def log_message(self, *_: object) -> None:
        pass

    def handle(self) -> None:
        with contextlib.suppress(OSError):
            super().handle()

    def _route(self) -> None:
        headers = {name.lower(): value for name, value in self.headers.items()}
        path = urlsplit(self.path).path
        self.hub.seen.append(Seen(self.role, self.command, unquote(path), headers))
        self.close_connection = True
        if self.role == "hub" and (found := _FILE.fullmatch(path)):
            self._resolve(found["repo"], unquote(found["revision"]), unquote(found["file"]))
        elif self.role == "hub" and (found := _TREE.fullmatch(path)):
            self._tree(found["repo"], unquote(found["revision"]))
        elif self.role == "cdn" and (found := _CDN.fullmatch(path)):
            self._from_cdn(found["sha256"])
        elif self.role == "cdn" and (data := self.hub.pages.get(path)) is not None:
            self._send(data, path, {"ETag": f'"{hashlib.sha256(data).hexdigest()[:16]}"'})
        else:
            self._refuse(404, "RepoNotFound")

    def _refuse(self, status: int, code: str = "", headers: Mapping[str, str] | None = None) -> None:
        self.send_response(status)
        if code:
            self.send_header("X-Error-Code", code)
        for name, value in (headers or {}).items():
            self.send_header(name, value)
        self.send_header("Content-Length", "0")
        self.send_header("Connection", "close")
        self.end_headers()

    def _opened(self, name: str, *, for_files: bool) -> Repo | None:
        """The repository, unless it is refused."""
        token = self.headers.get("Authorization", "").removeprefix("Bearer ")
        repo = self.hub.repos.get(name)
        if repo is None or (repo.private and token not in repo.readers):
            self._refuse(404 if token else 401, "RepoNotFound")
        elif for_files and repo.gated and token not in repo.readers:
            self._refuse(403 if token else 401, "GatedRepo")
        else:
            return repo
        return None

    def _resolve(self, name: str, revision: str, file: str) -> None:
        if self.command == "HEAD" and self.hub.head_faults:
            fault = self.hub.head_faults.popleft()
            self._refuse(fault.status, headers=fault.headers)
            return
        if (repo := self._opened(name, for_files=True)) is None:
            return
        commit = repo.branches.get(revision, revision)
        if commit not in repo.commits:
            self._refuse(404, "RevisionNotFound")
        elif (data := repo.commits[commit].get(file)) is None:
            self._refuse(404, "EntryNotFound")
        elif repo.lfs:
            sha256 = hashlib.sha256(data).hexdigest()
            linked = {"X-Linked-Size": str(len(data)), "X-Linked-Etag": f'"{sha256}"'}
            place = f"{self.hub.cdn_url}/cdn/{sha256}?signature=secret"
            self._refuse(302, headers={"X-Repo-Commit": commit, **linked, "Location": place})
        else:
            self._send(data, file, {"X-Repo-Commit": commit, "ETag": f'"{hashlib.sha1(data).hexdigest()}"'})

    def _tree(self, name: str, revision: str) -> None:
        if (repo := self._opened(name, for_files=False)) is None:
            return
        files = repo.commits.get(repo.branches.get(revision, revision), {})
        body = json.dumps([{"type": "file", "path": path, "size": len(data)} for path, data in files.items()]).encode()
        self.send_response(200)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def _from_cdn(self, sha256: str) -> None:
        commits = (commit for repo in self.hub.repos.values() for commit in repo.commits.values())
        for path, data in (item for commit in commits for item in commit.items()):
            if hashlib.sha256(data).hexdigest() == sha256:
                self._send(data, path, {"ETag": f'"cdn-{sha256[:16]}"'})
                return
        self._refuse(404)

    def _send(self, data: bytes, file: str, headers: Mapping[str, str]) -> None:
        faults = self.hub.faults[file]
        fault = faults.popleft() if faults and self.command == "GET" else Fault()
        if fault.status:
            self._refuse(fault.status, headers=fault.headers)
            return
        send_file(self, data if fault.body is None else fault.body, headers, fault, self.hub)


def send_file(
    handler: http.server.BaseHTTPRequestHandler, data: bytes, headers: Mapping[str, str], fault: Fault, hub: Hub
) -> None:
    """Answer with a file or the range of it that was asked for, as well as the fault allows."""
    asked = re.fullmatch(r"bytes=(\d+)-", handler.headers.get("Range", ""))
    told = {"Accept-Ranges": "bytes", **headers}
    fits = handler.headers.get("If-Range") in {None, {**told, **fault.headers}.get("ETag")}
    start = int(asked[1]) if asked and fits and not fault.ignores_range else 0
    if start and start >= len(data):
        told |= {"Content-Range": f"bytes */{len(data)}", "Content-Length": "0"}
        status, data = 416, b""
    elif start:
        told["Content-Range"] = f"bytes {start}-{len(data) - 1}/{len(data)}"
        status, data = 206, data[start:]
    else:
        status = 200
    told = {"Content-Length": str(len(data)), "Connection": "close", **told, **fault.headers}
    handler.send_response(status)
    for name, value in told.items():
        if value:
            handler.send_header(name, value)
    handler.end_headers()
    if handler.command == "GET":
        _write(handler, data, fault, hub)


def _write(handler: http.server.BaseHTTPRequestHandler, data: bytes, fault: Fault, hub: Hub) -> None:
    limits = [after for after in (fault.cut_after, fault.stall_after, fault.slow_after) if after is not None]
    first = limits[0] if limits else len(data)
    handler.wfile.write(data[:first])
    handler.wfile.flush()
    if fault.slow_after is not None:
        hub.release.wait(60)
        handler.wfile.write(data[first:])
    if fault.stall_after is not None:
        hub.wait_closing()


@contextlib.contextmanager
def redirecting(
    target: str, status: int = 302, context: ssl.SSLContext | None = None
) -> Iterator[tuple[str, list[dict[str, str]]]]:
    """A server that sends everybody elsewhere; its address, and the headers of the requests it got.

    Args:
        target: where to; `{path}` in it is the path asked for.
        status: of the answer.
        context: makes it an https server.
    """
    seen: list[dict[str, str]] = []

    class Redirecting(http.server.BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            seen.append({name.lower(): value for name, value in self.headers.items()})
            self.send_response(status)
            self.send_header("Location", target.format(path=self.path))
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Redirecting) as server:
        if context:
            server.socket = context.wrap_socket(server.socket, server_side=True)
        threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
        yield f"{'https' if context else 'http'}://127.0.0.1:{server.server_port}", seen
        server.shutdown()


@contextlib.contextmanager
def used_hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[Hub]:
    """A hub that `huggingface_hub` takes for the real one, nobody logged in; waiting between attempts is only noted."""
    for name in ("HF_TOKEN", "HUGGING_FACE_HUB_TOKEN", "HF_OIDC_RESOURCE"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setattr(constants, "HF_TOKEN_PATH", "/nonexistent/token")
    with Hub() as hub:
        monkeypatch.setenv("HF_ENDPOINT", hub.url)
        monkeypatch.setattr(clock, "sleep", hub.waits.append)
        yield hub
