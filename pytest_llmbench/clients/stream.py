"""A stream while it runs: the least that has to be done with each chunk; the rest is done when it is over.

Parsing while a stream runs delays the stamps of all streams of the process, and costs CPU time that a local model
would use. So after the first generated text a chunk is kept with its stamp and looked through for two words. Only who
wants to hear the text as it comes pays for reading it then.
"""

from __future__ import annotations

import asyncio
import codecs
from collections.abc import Iterator
from weakref import WeakKeyDictionary

from pytest_llmbench import sse
from pytest_llmbench.clients.decoded import Decoded
from pytest_llmbench.clients.wire import Hearing, OnText, Thought, Wire
from pytest_llmbench.http import MAX_BODY_BYTES, Exchange

_EVENT_END = b"\n\n"
_ERROR = b'"error"'
"""Within a JSON string the quotes would be escaped, so no generated text can look like this key or value."""
_PING = b"ping"
_EVENTS_A_TURN = 32

_turns: WeakKeyDictionary[asyncio.AbstractEventLoop, asyncio.Lock] = WeakKeyDictionary()


class StreamRecord:
    """Takes the chunks of a stream as they arrive, up to its last event, an error, or nonsense at its beginning.

    A chunk that came between two events, begins as generated text does, ends with a whole event and holds neither the
    format's last event nor an error needs no parsing before the stream is over. Any other is parsed at once.

    Args:
        exchange: whose body it is; its deadlines are told of each event once the answer has begun.
        wire: the format.
        on_text: is handed the text as it comes; then every chunk is parsed at once.
    """

    def __init__(self, exchange: Exchange, wire: Wire, on_text: OnText | None = None) -> None:
        self._exchange = exchange
        self._moved = exchange.answer_moved
        self._decoder = wire.decoder
        self._tokens_begin, self._end = wire.tokens_begin, wire.end
        self._tell = None if on_text is None else whole_characters(on_text)
        self._tell_thought = _telling_thoughts(on_text) if isinstance(on_text, Hearing) else None
        self._parser = sse.Parser(exchange.shown, max_events=sse.MAX_EVENTS)
        self._record: list[sse.Event | tuple[float, bytes]] = []
        self._bytes_left, self._events_left = MAX_BODY_BYTES, sse.MAX_EVENTS
        self._begun = False
        self._may_skip = False
        """Begun, nothing is left over from the chunks before, and nobody listens."""

    def __call__(self, arrived_at: float, data: bytes) -> bool:
        """Take a chunk; returns whether the stream is over.

        Raises:
            WireError: `stream.too_large`.
        """
        self._bytes_left -= len(data)
        if self._bytes_left < 0:
            raise self._exchange.too_large(f"{MAX_BODY_BYTES} bytes")
        if (
            self._may_skip
            and data.startswith(self._tokens_begin)
            and data.endswith(_EVENT_END)
            and self._end not in data
            and _ERROR not in data
        ):
            self._events_left -= data.count(_EVENT_END)
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
        decoded = self._decoder()
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
            if self._begun and event.name != _PING:
                self._moved(arrived_at)
        self._may_skip = self._begun and self._parser.between_events and self._tell is None
        return False

    def _ends_with(self, event: sse.Event) -> bool:
        if self._begun and self._tell is None and self._end not in event.data and _ERROR not in event.data:
            return False
        seen = self._decoder()
        useless = seen.take(event)
        self._begun = self._begun or bool(seen.token_times)
        if self._tell_thought is not None:
            for thought in seen.reasoning:
                self._tell_thought(thought)
        if self._tell is not None:
            for piece in seen.content:
                self._tell(piece)
        return useless or seen.over


def _telling_thoughts(hearing: Hearing) -> OnText:
    return whole_characters(lambda piece: hearing(Thought(piece)))


def whole_characters(on_text: OnText) -> OnText:
    """`on_text` for pieces that may end amid a surrogate pair: half a character waits for its other half."""
    decoder = codecs.getincrementaldecoder("utf-16-le")("replace")

    def tell(piece: str) -> None:
        if text := decoder.decode(piece.encode("utf-16-le", "surrogatepass")):
            on_text(text)

    return tell
