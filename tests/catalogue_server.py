"""A provider's other pages on loopback: a catalogue in OpenRouter's form, `GET /key`, lists of models; scripted."""

from __future__ import annotations

import json
import threading
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

GPT = {
    "id": "openai/gpt-4o-mini",
    "description": "x" * 5000,
    "context_length": 128000,
    "architecture": {"input_modalities": ["text", "image"], "output_modalities": ["text"]},
    "pricing": {
        "prompt": "0.00000015",
        "completion": "0.0000006",
        "request": "0",
        "image": "0.000217",
        "internal_reasoning": "0",
        "input_cache_read": "0.000000075",
    },
    "top_provider": {"context_length": 64000, "max_completion_tokens": 16384},
    "supported_parameters": ["tools", "seed", "structured_outputs", "temperature", "max_tokens"],
}
FREE = {**GPT, "id": "meta/llama-3:free", "pricing": {"prompt": "0", "completion": "0"}, "supported_parameters": []}
AUTO = {**GPT, "id": "openrouter/auto", "pricing": {"prompt": "-1", "completion": "-1"}}


@dataclass
class Page:
    """What a path is answered with."""

    body: Any = field(default_factory=dict)
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)


class CatalogueServer:
    """The running server; `pages` may be changed at any time."""

    def __init__(self, pages: Mapping[str, Page]) -> None:
        self.pages = dict(pages)
        self.asked: list[tuple[str, dict[str, str]]] = []
        """(path, headers with names in lower case) of each request."""
        server = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                server.asked.append((self.path, {name.lower(): value for name, value in self.headers.items()}))
                page = server.pages.get(self.path, Page({"error": {"message": "not here"}}, 404))
                body = page.body if isinstance(page.body, bytes) else json.dumps(page.body).encode()
                self.send_response_only(page.status)
                for name, value in {"date": self.date_time_string(), "connection": "close", **page.headers}.items():
                    self.send_header(name, value)
                self.send_header("content-length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the base class's name
                pass

        self._http = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._http.server_port}"

    @property
    def paths(self) -> list[str]:
        """What was asked for, in order."""
        return [path for path, _ in self.asked]

    def start(self) -> None:
        self._thread = threading.Thread(target=self._http.serve_forever, kwargs={"poll_interval": 0.02})
        self._thread.start()

    def stop(self) -> None:
        """Refuse connections from now on."""
        self._http.shutdown()
        self._thread.join()
        self._http.server_close()


@contextmanager
def catalogue_server(**pages: Page) -> Iterator[CatalogueServer]:
    """A server with a catalogue at /api/v1/models; `key=Page(...)` answers /api/v1/key, and so on."""
    given = {f"/api/v1/{name}": page for name, page in pages.items()}
    server = CatalogueServer({"/api/v1/models": Page({"data": [GPT, FREE, AUTO, {"no": "id"}, 7]}), **given})
    server.start()
    try:
        yield server
    finally:
        if server._thread.is_alive():
            server.stop()
