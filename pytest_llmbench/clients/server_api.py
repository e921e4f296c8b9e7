"""Calls of a local server beside those that ask a model: JSON out, JSON in."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Any, ClassVar

from pytest_llmbench import http
from pytest_llmbench.clients.refusals import refusal
from pytest_llmbench.clients.request import Endpoint
from pytest_llmbench.errors import Category, WireError


class ServerApi:
    """Calls of one server; each raises `WireError` where no usable answer comes.

    Args:
        endpoint: where it is, asked at each call: a server that is started again is elsewhere.
        deadlines: of each call.
    """

    KIND: ClassVar[str]
    """What such a server is called."""

    def __init__(self, endpoint: Callable[[], Endpoint], deadlines: http.Deadlines) -> None:
        self._endpoint = endpoint
        self._deadlines = deadlines

    def _post(self, path: str, fields: Mapping[str, Any]) -> dict[str, Any]:
        return self._call("POST", path, json.dumps(fields).encode())

    def _call(self, method: str, path: str, body: bytes) -> dict[str, Any]:
        endpoint, headers = self._endpoint(), {"content-type": "application/json"}
        if endpoint.api_key:
            headers["authorization"] = f"Bearer {endpoint.api_key.reveal()}"
        request = http.Request(method, endpoint.url(path), headers, body)
        got = http.run(http.fetch(request, self._deadlines))
        if not 200 <= got.status < 300:
            raise refusal(request.shown, got.status, got.headers, got.body, endpoint.api_key)
        try:
            told = json.loads(got.body)
        except (ValueError, RecursionError):
            raise self._unusable(path, "no JSON") from None
        if not isinstance(told, dict):
            raise self._unusable(path, f"a {type(told).__name__}")
        return told

    def _unusable(self, path: str, what: str) -> WireError:
        return WireError(
            f"{self._endpoint().url(path)}: the server answered with {what}",
            category=Category.STREAM_MALFORMED,
            hint=f"is this a {self.KIND} server?",
        )
