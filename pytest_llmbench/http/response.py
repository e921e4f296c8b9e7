"""A response's bytes → status, headers and body, with limits on all that is not body. No sockets here."""

from __future__ import annotations

import httptools

from pytest_llmbench.errors import Category, WireError

MAX_HEAD_BYTES = 128 * 1024
"""All headers of a response together; also the longest stretch of chunk framing and trailers without any body."""
MAX_HEADERS = 256


class Response:
    """One response as it comes in.

    Interim responses (1xx) are read over, trailers are dropped. `feed` never raises what the server is to blame for:
    the body up to the fault is still good, and the fault is in `failure`.

    Args:
        shown: the request as messages name it.
    """

    def __init__(self, shown: str) -> None:
        self._shown = shown
        self.status = 0
        """0 until the final response's headers are complete."""
        self.headers: dict[str, str] = {}
        """Names in lower case; what came twice is joined with commas."""
        self.over = False
        """Nothing more is to be expected: complete, or failed."""
        self.failure: WireError | None = None
        self.keeps_connection = False
        """Complete, nothing came after it, and the server is ready for another request on its connection."""
        self._head: list[tuple[bytes, bytes]] = []
        self._head_bytes = 0
        self._bare_bytes = 0
        self._body: list[bytes] = []
        self.on_body = self._body.append
        self._parser = httptools.HttpResponseParser(self)
        self._feed = self._parser.feed_data

    def feed(self, data: bytes) -> bytes:
        """Read on.

        Returns:
            What `data` holds of the body, in one piece; often nothing.
        """
        try:
            self._feed(data)
        except (httptools.HttpParserError, httptools.HttpParserUpgrade) as error:
            self._nonsense(error)
        body = self._body
        if not body:
            self._bare_bytes += len(data)
            if self._bare_bytes > MAX_HEAD_BYTES:
                self._too_large(f"more than {MAX_HEAD_BYTES} bytes of headers or framing without any body")
            return b""
        self._bare_bytes = 0
        if len(body) == 1:
            return body.pop()
        whole = b"".join(body)
        body.clear()
        return whole

    def end_of_input(self) -> None:
        """The server has closed its side: the end of a body without a length, else a fault."""
        if self.over:
            return
        if not self.status:
            told = "hung up amid its headers" if self._bare_bytes else "hung up without an answer"
            self._fail(Category.NETWORK_RESET, f"the server {told}")
        elif "content-length" in self.headers or self._chunked():
            self._fail(Category.STREAM_TRUNCATED, "the server closed the connection before the body was complete")
        self.over = True

    @property
    def untouched(self) -> bool:
        """Not one byte has come."""
        return not (self.status or self._bare_bytes)

    def release(self) -> None:
        """Let go of the parser, which refers back to us; nothing can be fed any more."""
        if hasattr(self, "_parser"):
            del self._parser, self._feed

    def on_header(self, name: bytes, value: bytes) -> None:
        if self.status:
            return  # a trailer
        self._head.append((name, value))
        self._head_bytes += len(name) + len(value)
        if self._head_bytes > MAX_HEAD_BYTES or len(self._head) > MAX_HEADERS:
            self._head.clear()
            self._too_large(f"more than {MAX_HEADERS} headers, or {MAX_HEAD_BYTES} bytes of them")

    def on_headers_complete(self) -> None:
        status = self._parser.get_status_code()
        if status >= 200:
            self.status = status
            for raw_name, raw_value in self._head:
                name, value = raw_name.decode("latin-1").lower(), raw_value.decode("latin-1").strip()
                self.headers[name] = f"{self.headers[name]}, {value}" if name in self.headers else value
        self._head.clear()

    def on_message_begin(self) -> None:
        if self.over:
            raise httptools.HttpParserError("another message came behind the one that was asked for")

    def on_message_complete(self) -> None:
        if self.status:
            self.keeps_connection = not self.over and self._parser.should_keep_alive()
            self.over = True

    def _chunked(self) -> bool:
        return self.headers.get("transfer-encoding", "").lower().endswith("chunked")

    def _nonsense(self, error: Exception) -> None:
        upgrade = isinstance(error, httptools.HttpParserUpgrade) or "Upgrade" in str(error)
        told = "the server wants to switch protocols" if upgrade else f"not HTTP: {error}"
        self._fail(Category.STREAM_MALFORMED, told)

    def _too_large(self, told: str) -> None:
        self._fail(Category.STREAM_TOO_LARGE, told)

    def _fail(self, category: Category, told: str) -> None:
        self.keeps_connection = False
        if not self.over:  # what comes after the end of a response is no concern of ours
            self.failure = WireError(f"{self._shown}: {told}", category=category, status=self.status or None)
            self.over = True
