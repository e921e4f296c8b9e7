"""The part of GitHub's REST API that comments need, on loopback: pages of comments, faults, what was asked."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs, urlsplit

BOT = "github-actions[bot]"
REPOSITORY = "lab/quiz"


@dataclass(frozen=True)
class Fault:
    """How one request is answered instead."""

    status: int
    message: str = "no"
    headers: Mapping[str, str] = field(default_factory=dict)
    is_done: bool = False
    """Whether the request takes effect all the same."""
    only: str = ""
    """The method it waits for; empty: any."""


@dataclass
class GitHubServer:
    """The running server; comments, pull requests and faults may be changed at any time."""

    comments: dict[int, list[dict[str, Any]]] = field(default_factory=dict)
    """Number of the pull request → its comments."""
    pulls: list[dict[str, Any]] = field(default_factory=list)
    faults: list[Fault] = field(default_factory=list)
    """Each is met once, in this order."""
    asked: list[tuple[str, str, dict[str, str]]] = field(default_factory=list)
    """(method, path, headers) of each request."""
    url: str = ""
    may_write: bool = True

    def add(self, pull: int, body: str, author: str = BOT) -> int:
        """A comment; its id."""
        number = 1 + sum(map(len, self.comments.values()))
        address = f"https://github.example/{REPOSITORY}/pull/{pull}#issuecomment-{number}"
        self.comments.setdefault(pull, []).append(
            {"id": number, "body": body, "user": {"login": author}, "html_url": address}
        )
        return number

    def bodies(self, pull: int) -> list[str]:
        return [each["body"] for each in self.comments.get(pull, [])]

    def methods(self) -> list[str]:
        return [method for method, _, _ in self.asked]

    def answer(self, method: str, path: str, body: Any) -> tuple[int, Any, Mapping[str, str]]:
        fault = next((each for each in self.faults if each.only in {"", method}), None)
        if fault is not None:
            self.faults.remove(fault)
            if fault.is_done:
                self._done(method, path, body)
            return fault.status, {"message": fault.message}, fault.headers
        if not self.may_write and method != "GET":
            return 403, {"message": "Resource not accessible by integration"}, {}
        return self._done(method, path, body)

    def _done(self, method: str, path: str, body: Any) -> tuple[int, Any, Mapping[str, str]]:
        parts = urlsplit(path)
        asked = {name: values[0] for name, values in parse_qs(parts.query).items()}
        where = parts.path.removeprefix(f"/repos/{REPOSITORY}/")
        if where == "pulls":
            return 200, [each for each in self.pulls if each["label"] == asked.get("head")], {}
        if found := re.fullmatch(r"issues/comments/(\d+)", where):
            listed = (each for several in self.comments.values() for each in several)
            one = next(each for each in listed if each["id"] == int(found[1]))
            one["body"] = body["body"]
            return 200, one, {}
        found = re.fullmatch(r"issues/(\d+)/comments", where)
        if found is None or (method == "POST" and len(body["body"]) > 65_536):
            return 422 if found else 404, {"message": "Validation Failed"}, {}
        pull = int(found[1])
        if method == "POST":
            self.add(pull, body["body"])
            return 201, self.comments[pull][-1], {}
        size, page = int(asked.get("per_page", 30)), int(asked.get("page", 1))
        return 200, self.comments.get(pull, [])[size * (page - 1) : size * page], {}


@contextmanager
def github_server() -> Iterator[GitHubServer]:
    """The server; stops at the end."""
    told = GitHubServer()

    class Handler(BaseHTTPRequestHandler):
        def _answer(self) -> None:
            data = self.rfile.read(int(self.headers.get("content-length") or 0))
            told.asked.append((self.command, self.path, {name.lower(): value for name, value in self.headers.items()}))
            status, said, headers = told.answer(self.command, self.path, json.loads(data) if data else None)
            body = json.dumps(said).encode()
            self.send_response_only(status)
            for name, value in {"connection": "close", "content-length": str(len(body)), **headers}.items():
                self.send_header(name, value)
            self.end_headers()
            self.wfile.write(body)

        def do_GET(self) -> None:
            self._answer()

        def do_POST(self) -> None:
            self._answer()

        def do_PATCH(self) -> None:
            self._answer()

        def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    told.url = f"http://127.0.0.1:{server.server_port}"
    thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02})
    thread.start()
    try:
        yield told
    finally:
        server.shutdown()
        thread.join()
        server.server_close()
