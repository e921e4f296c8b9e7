"""The cache as those who ask see it: a thread that looks up and puts away, so that nobody waits for a disk.

Whatever goes wrong with its place is told once and is a miss; it never becomes the error of a question.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass
from datetime import datetime
from itertools import groupby
from queue import Empty, SimpleQueue
from typing import TypeVar

from pytest_llmbench import clock
from pytest_llmbench.cache.backend import Backend
from pytest_llmbench.cache.entries import decoded, encoded
from pytest_llmbench.cache.semantic import Likeness, Prompt
from pytest_llmbench.errors import CacheError
from pytest_llmbench.records import CacheEntry, Reply

_GATHER_S, _BUSY = 0.002, 8
"""How long orders wait for company, after so many came together."""
_MOST = 500
"""Orders that are seen to in one go."""
_REST_S, _LONGEST_REST_S = 5.0, 60.0
"""How long a place that failed is left alone; twice as long each time it fails again."""
_END_S = 10.0
"""How long the end of a session waits for a place that does not answer."""
_COUNTED_AT_ONCE = 200

Tell = Callable[[Reply | None], None]
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class _Wanted:
    key: str
    tell: Tell
    prompt: Prompt | None = None


@dataclass(frozen=True, slots=True)
class _Received:
    key: str
    reply: Reply
    at: datetime
    prompt: Prompt | None = None


class ResponseCache:
    """Looks replies up and puts them away; usable from any thread.

    Args:
        backend: the place; from now on it belongs to the cache's thread.
        ttl_s: how old a reply may be that is given.
        refresh: whether only what was put since is given: all else is asked anew, and replaced.
        tell: told in one sentence, in the cache's thread, when the place fails for the first time.
        likeness: finds replies to questions alike; None: only the very same is given.
    """

    def __init__(
        self,
        backend: Backend,
        *,
        ttl_s: float,
        refresh: bool = False,
        tell: Callable[[str], None] | None = None,
        likeness: Likeness | None = None,
    ) -> None:
        self.notes: list[str] = []
        """What went wrong, a sentence each."""
        self._backend = backend
        self._ttl_s = ttl_s
        self._refresh = refresh
        self._tell = tell
        self._likeness = likeness
        self._put: set[str] = set()
        self._reading, self._writing, self._comparing = _Rest(), _Rest(), _Rest()
        self._hits = self._misses = 0
        self._orders: SimpleQueue[_Wanted | _Received | None] = SimpleQueue()
        self._closing = threading.Lock()
        self._closed = False
        self._thread = threading.Thread(target=self._serve, name="llmbench-cache", daemon=True)
        self._thread.start()

    def look_up(self, key: str, tell: Tell, prompt: Prompt | None = None) -> None:
        """Have `tell` called with the reply, or with None, in the cache's thread: it must not hold that up.

        With a prompt the reply to one alike will do; it is marked as one.
        """
        if not self._ordered(_Wanted(key, tell, prompt)):
            tell(None)

    def find(self, key: str) -> Reply | None:
        """As `look_up`, and waits for it."""
        return self.find_all([key]).get(key)

    def find_all(self, keys: Sequence[str]) -> Mapping[str, Reply]:
        """As `find`, of several at once: those that are there, by their keys."""
        wanted: list[tuple[str, Future[Reply | None]]] = [(key, Future()) for key in keys]
        for key, found in wanted:
            self.look_up(key, found.set_result)
        return {key: reply for key, found in wanted if (reply := found.result()) is not None}

    def put(self, key: str, reply: Reply, prompt: Prompt | None = None) -> None:
        """Put away a reply that was received now: whoever looks it up from here on finds it.

        One that may not be kept is dropped. With a prompt those find it, too, who ask alike.
        """
        self._ordered(_Received(key, reply, clock.now(), prompt))

    def close(self) -> None:
        """Put away what was ordered, and let go of the place; once more does no harm."""
        with self._closing:
            if not self._closed:
                self._orders.put(None)
            self._closed = True
        self._thread.join(_END_S)

    def _ordered(self, order: _Wanted | _Received) -> bool:
        with self._closing:
            if not self._closed:
                self._orders.put(order)
            return not self._closed

    def _serve(self) -> None:
        over, orders = False, list[_Wanted | _Received | None]()
        while not over:
            first = self._orders.get()
            if len(orders) >= _BUSY:
                clock.sleep(_GATHER_S)
            orders = [first, *self._more()]
            over = None in orders
            for is_wanted, some in groupby(filter(None, orders), lambda order: isinstance(order, _Wanted)):
                if is_wanted:
                    self._look([each for each in some if isinstance(each, _Wanted)])
                else:
                    self._store([each for each in some if isinstance(each, _Received)])
            if over or self._hits + self._misses >= _COUNTED_AT_ONCE:
                self._tried(self._writing, self._count)
        self._tried(_Rest(), self._backend.close)

    def _more(self) -> Iterator[_Wanted | _Received | None]:
        """What was ordered meanwhile."""
        try:
            for _ in range(_MOST):
                yield self._orders.get_nowait()
        except Empty:
            return

    def _look(self, wanted: Sequence[_Wanted]) -> None:
        keys = {each.key for each in wanted if not self._refresh or each.key in self._put}
        found = (self._tried(self._reading, lambda: self._read([*keys])) if keys else None) or {}
        for each in wanted:
            reply = found.get(each.key) or self._alike(each.prompt)
            self._hits += reply is not None
            self._misses += reply is None and each.key in keys  # what is to be asked anew was not looked for
            each.tell(reply)
        if useless := [key for key, reply in found.items() if reply is None]:
            self._tried(self._writing, lambda: self._backend.remove(useless))

    def _alike(self, prompt: Prompt | None) -> Reply | None:
        likeness = self._likeness
        if likeness is None or prompt is None:
            return None
        return self._tried(self._comparing, lambda: likeness.find(prompt, clock.now()))

    def _read(self, keys: Sequence[str]) -> Mapping[str, Reply | None]:
        """The replies that are there; None for one that cannot be used."""
        values, now = self._backend.get(keys), clock.now()
        return {key: decoded(key, value, ttl_s=self._ttl_s, now=now) for key, value in values.items()}

    def _store(self, received: Sequence[_Received]) -> None:
        self._tried(self._writing, lambda: self._write(received))

    def _write(self, received: Sequence[_Received]) -> None:
        values = [(each, encoded(each.key, each.reply, each.at)) for each in received]
        entries = [CacheEntry(each.key, value, each.reply.model) for each, value in values if value is not None]
        if entries:
            self._backend.put(entries)
            self._put.update(entry.key for entry in entries)
            self._tried(self._comparing, lambda: self._remember(received))

    def _remember(self, received: Sequence[_Received]) -> None:
        """What these replies were given to, for questions alike."""
        prompts = [(each.prompt, each.key, each.at) for each in received if each.prompt and each.key in self._put]
        if self._likeness is not None and prompts:
            self._backend.put(self._likeness.entries(prompts))

    def _count(self) -> None:
        hits, misses, self._hits, self._misses = self._hits, self._misses, 0, 0
        if hits or misses:
            self._backend.count(hits=hits, misses=misses)

    def _tried(self, rest: _Rest, do: Callable[[], _T]) -> _T | None:
        """What `do` gives; None where the place fails, or has failed a moment ago."""
        if not rest.is_over:
            return None
        try:
            done = do()
        except CacheError as error:
            self._failed(rest, error.message, error.hint)
        except Exception as error:  # noqa: BLE001 - a fault of ours; whoever asks must not wait for ever for it
            self._failed(rest, f"the response cache failed: {type(error).__name__}: {error}")
        else:
            rest.ended()
            return done
        return None

    def _failed(self, rest: _Rest, why: str, hint: str = "") -> None:
        rest.begin()
        if not self.notes:
            told = f"{why}; what could not be looked up was asked, and what could not be kept was not"
            self.notes.append(f"{told} (hint: {hint})" if hint else told)
            if self._tell is not None:
                self._tell(why)


class _Rest:
    """How long a place that failed is left alone, so that a place that does not answer holds up few."""

    def __init__(self) -> None:
        self._until = 0.0
        self._next_s = _REST_S

    @property
    def is_over(self) -> bool:
        return clock.monotonic() >= self._until

    def begin(self) -> None:
        self._until = clock.monotonic() + self._next_s
        self._next_s = min(2 * self._next_s, _LONGEST_REST_S)

    def ended(self) -> None:
        self._next_s = _REST_S
