"""A stream while it runs: the least that has to be done with each chunk; the rest is done when it is over.

Parsing while a stream runs delays the stamps of all streams of the process, and costs CPU time that a local model
would use. So after the first generated text a chunk is kept with its stamp and looked through for two words.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from weakref import WeakKeyDictionary

from pytest_llmbench import sse
from pytest_llmbench.clients.openai_decode import DONE, Decoded, decode_events
from pytest_llmbench.http import MAX_BODY_BYTES, Exchange

_END = b"\n\n"
_ERROR = b'"error"'
"""Within a JSON string the quotes would be escaped, so no generated text can look like this key."""
_EVENTS_A_TURN = 32

_turns: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = WeakKeyDictionary()


class StreamRecord:
    """Takes the chunks of a stream as they arrive, up to `[DONE]`, an error, or nonsense at its beginning.

    A chunk that came between two events, begins with data, ends with a whole event and holds neither `[DONE]` nor an
    error needs no parsing before the stream is over. Any other is parsed at once.

    Args:
        exchange: whose body it is; its deadlines are told of each event once the answer has begun.
    """

    def __init__(self, exchange: Exchange) -> None:
        self._exchange = exchange
        self._moved = exchange.answer_moved
        self._parser = sse.Parser(exchange.shown, max_events=sse.MAX_EVENTS)
        self._record: list[sse.Event | tuple[float, bytes]] = []
        self._bytes_left, self._events_left = MAX_BODY_BYTES, sse.MAX_EVENTS
        self._begun = False
        self._between_events = False
        """Begun, and nothing is left over from the chunks before."""

    def __call__(self, arrived_at: float, data: bytes) -> bool:
        """Take a chunk; returns whether the stream is over.

        Raises:
            WireError: `stream.too_large`.
        """
        self._bytes_left -= len(data)
        if self._bytes_left < 0:
            raise self._exchange.too_large(f"{MAX_BODY_BYTES} bytes")
        if (
            self._between_events
            and data.startswith(b"data:")
            and data.endswith(_END)
            and DONE not in data
            and _ERROR not in data
        ):
            self._events_left -= data.count(_END)
            if self._events_left < 0:
                raise self._exchange.too_large(f"{sse.MAX_EVENTS} events")
            self._record.append((arrived_at, data))
            self._moved(arrived_at)
            return False
        return self._read(arrived_at, data)

    @property
    def ended_at(self) -> float | None:
        """When the last event came, on `clock.monotonic`."""
        if not self._record:
            return None
        last = self._record[-1]
        return last.arrived_at if isinstance(last, sse.Event) else last[0]

    def events(self) -> Iterator[sse.Event]:
        """All events, parsed only as they are asked for.

        Raises:
            WireError: `stream.too_large`.
        """
        parser = sse.Parser(self._exchange.shown)
        for kept in self._record:
            if isinstance(kept, sse.Event):
                yield kept
            else:
                yield from parser.feed(*kept)

    async def decoded(self) -> Decoded:
        """What the stream said.

        One stream at a time, and a few events in one go: between them the sockets of all others are looked at, else
        a hundred streams that end together would bend the stamps of those that go on.

        Raises:
            WireError: `stream.too_large`.
        """
        decoded = Decoded()
        async with _turns.setdefault(asyncio.get_running_loop(), asyncio.Lock()):
            for number, event in enumerate(self.events(), 1):
                if decoded.take(event):
                    break
                if number % _EVENTS_A_TURN == 0:
                    await asyncio.sleep(0)
        return decoded.closed()

    def _read(self, arrived_at: float, data: bytes) -> bool:
        for event in self._parser.feed(arrived_at, data):
            self._record.append(event)
            if self._ends_with(event):
                return True
            if self._begun:
                self._moved(arrived_at)
        self._between_events = self._begun and self._parser.between_events
        return False

    def _ends_with(self, event: sse.Event) -> bool:
        if event.data.strip() == DONE:
            return True
        if self._begun and _ERROR not in event.data:
            return False
        seen = decode_events([event])
        self._begun = self._begun or bool(seen.token_times)
        return bool(seen.error or seen.malformed)
