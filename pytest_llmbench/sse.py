"""Server-sent events: bytes in, stamped events out (WHATWG HTML, section 9.2.6).

An event carries the stamp of the chunk that completed it. Nothing is decoded here: reading JSON between two chunks
would delay the stamp of the next.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from pytest_llmbench.errors import Category, WireError

MAX_EVENT_BYTES = 8 * 1024 * 1024
"""One event longer than this is refused; a single token with all its log-probabilities stays far below."""

MAX_EVENTS = 500_000
"""A stream of more events is refused: the longest answers have a fifth of it, and each event costs memory."""

_LINE_END = re.compile(rb"\r\n|\n|\r")
_BOM = b"\xef\xbb\xbf"


@dataclass(frozen=True, slots=True)
class Event:
    """One event, undecoded."""

    arrived_at: float
    """`clock.monotonic` when its last byte came."""
    data: bytes
    name: bytes = b"message"


class Parser:
    """Cuts a byte stream, however it is split into chunks, into events.

    Comments, `id` and `retry` are read over; an event that the stream's end cuts off is dropped, as the standard says.
    """

    def __init__(
        self, source: str = "the stream", max_event_bytes: int = MAX_EVENT_BYTES, max_events: int = MAX_EVENTS
    ) -> None:
        self._source = source
        self._max_event_bytes = max_event_bytes
        self._max_events = max_events
        self._events = 0
        self._rest = bytearray()
        self._at_start = True
        self._after_cr = False
        self._data: list[bytes] = []
        self._data_bytes = 0
        self._name = b""

    def feed(self, arrived_at: float, chunk: bytes) -> list[Event]:
        """The events that `chunk` completes, in order.

        Raises:
            WireError: `stream.too_large`, one event is larger, or there are more of them, than allowed.
        """
        if self.between_events and _is_one_event(chunk) and len(chunk) <= self._max_event_bytes:
            self._at_start = False
            return [self._event(arrived_at, chunk[6:-2], b"")]
        events = []
        for line in self._lines(chunk):
            if line:
                self._field(line)
            elif (event := self._dispatch(arrived_at)) is not None:
                events.append(event)
        return events

    @property
    def between_events(self) -> bool:
        """Nothing of a further event has come yet."""
        return not (self._rest or self._data or self._name or self._after_cr)

    def _lines(self, chunk: bytes) -> Iterator[bytes]:
        if self._after_cr and chunk:
            chunk = chunk.removeprefix(b"\n")
            self._after_cr = False
        if _LINE_END.search(chunk) is None:
            self._rest += chunk
            self._check_size(len(self._rest))
            return
        self._after_cr = chunk.endswith(b"\r")
        *lines, rest = _LINE_END.split(bytes(self._rest) + chunk)
        self._rest = bytearray(rest)
        if self._at_start:
            lines[0] = lines[0].removeprefix(_BOM)
            self._at_start = False
        yield from lines
        self._check_size(len(rest))

    def _field(self, line: bytes) -> None:
        field, _, value = line.partition(b":")
        value = value.removeprefix(b" ")
        if field == b"data":
            self._data.append(value)
            self._data_bytes += len(value) + 1
            self._check_size(0)
        elif field == b"event":
            self._name = value

    def _dispatch(self, arrived_at: float) -> Event | None:
        data, name = self._data, self._name
        self._data, self._data_bytes, self._name = [], 0, b""
        return self._event(arrived_at, b"\n".join(data), name) if data else None

    def _event(self, arrived_at: float, data: bytes, name: bytes) -> Event:
        self._events += 1
        if self._events > self._max_events:
            raise WireError(
                f"{self._source}: the stream has more than {self._max_events} events",
                category=Category.STREAM_TOO_LARGE,
            )
        return Event(arrived_at, data, name or b"message")

    def _check_size(self, pending: int) -> None:
        if self._data_bytes + pending > self._max_event_bytes:
            raise WireError(
                f"{self._source}: one event is larger than {self._max_event_bytes} bytes",
                category=Category.STREAM_TOO_LARGE,
            )


def _is_one_event(chunk: bytes) -> bool:
    """Whether the chunk is `data: …`, one blank line, and nothing else: nearly all are."""
    return chunk.startswith(b"data: ") and chunk.find(b"\n") == len(chunk) - 2 and chunk[-1] == 10 and 13 not in chunk
