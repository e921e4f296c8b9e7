"""A model on the test stand: what profiles drive."""

from __future__ import annotations

import asyncio
import dataclasses
import gc
from collections.abc import AsyncIterator, Callable, Generator, Iterable, Iterator, Mapping
from typing import Any, TypeVar

from pytest_llmbench import clock, http
from pytest_llmbench.bench.account import Account
from pytest_llmbench.bench.asking import Asking
from pytest_llmbench.bench.planned import Planned, Timed
from pytest_llmbench.bench.subject import Subject
from pytest_llmbench.bench.watch import contention_told
from pytest_llmbench.clients.llama_api import LlamaApi
from pytest_llmbench.clients.rounds import ATTEMPTS
from pytest_llmbench.errors import UsageError, WireError
from pytest_llmbench.monitor import ProcessMeter
from pytest_llmbench.records import Repetition, ServerInfo, ServerSpec

_COLLECT_EVERY_S = 60.0
"""Python's garbage collector is off while we time. A long measurement runs it in between, and tells what was sent."""
WARM_UP_INDEX = -1

_T = TypeVar("_T")


class Stand:
    """A model behind one server, while it is measured.

    Args:
        subject: the model.
        account: of the measurement, shared with the stands of its other servers.
    """

    def __init__(self, subject: Subject, account: Account) -> None:
        self._subject = subject
        self._account = account
        self._asking = Asking(subject, account)
        self._collected_at = clock.monotonic()
        self._warm: tuple[Planned, int] | None = None
        self._meet()

    @property
    def name(self) -> str:
        """Of the model."""
        return self._subject.name

    @property
    def kept(self) -> tuple[Repetition, ...]:
        """What was measured before an interruption."""
        return self._account.kept

    @property
    def done(self) -> frozenset[int]:
        """The indexes of `kept`, which are left out."""
        return frozenset(repetition.index for repetition in self.kept)

    @property
    def owned(self) -> bool:
        """Whether the server is ours, so that its settings can be chosen."""
        return self._subject.server_spec() is not None

    @property
    def context(self) -> int | None:
        """Tokens of context in each slot; None where the server is not ours."""
        spec = self._subject.server_spec()
        return spec.context if spec else None

    @property
    def slots(self) -> int | None:
        """None where the server is not ours."""
        spec = self._subject.server_spec()
        return spec.slots if spec else None

    @property
    def threads(self) -> int | None:
        """None where the server is not ours."""
        spec = self._subject.server_spec()
        return spec.threads if spec else None

    @property
    def spec(self) -> ServerSpec | None:
        """What our server was ordered to be; None where it is not ours."""
        return self._subject.server_spec()

    @property
    def server(self) -> ServerInfo:
        """The server that was asked last."""
        return self._asking.server

    def let_go(self) -> None:
        """Give the server's memory free for another one; it is claimed again by the next request."""
        self._subject.let_go()

    def served_with(self, **settings: Any) -> Stand:
        """The same model behind another server: `context`, `slots`, `kv_type`, `threads`, ...

        This one's server may be stopped then, where both do not fit; it is started again when it is asked again.

        Raises:
            UsageError: the server is somebody else's, or has no such setting.
        """
        other = self._subject.served_with(**settings)
        self._subject.let_go()
        self._account.others.append(other)
        return Stand(other, self._account)

    def warm_up(self, planned: Planned, count: int = 1) -> None:
        """Send it `count` times and forget the answers; a server that is started again later is warmed up like this.

        Raises:
            InfraError: the server failed.
        """
        self._warm = planned, count
        with contention_told(self._account, self.threads):
            for number in range(count):
                self._survived(dataclasses.replace(planned, index=WARM_UP_INDEX - number), self._asking.throw_away)

    def ask(self, planned: Planned) -> Timed:
        """One request by itself.

        It is taken again, a bounded number of times, where others used the machine meanwhile (not where its times mean
        nothing: `cached_ok`), and asked once more where the server died.

        Raises:
            InfraError: the server failed, or took the prompt from a cache.
        """
        for attempt in range(self._account.book.retakes + 1):
            timed = self._survived(planned, self._asking.timed)
            if planned.cached_ok or not self._account.take_again(timed, attempt):
                break
        self._collect_now_and_then()
        return timed

    def ask_all(
        self, planned: Iterable[Planned], *, concurrency: int, tolerant: bool = False
    ) -> Generator[Timed, None, None]:
        """A closed loop: `concurrency` requests under way until all are answered; yields them as they complete.

        Closing it cancels those under way.

        Args:
            planned: read as needed, in the thread of the requests.
            concurrency: at least 1.
            tolerant: a request that fails is a result (`Timed.reply` is None); else it ends the load.

        Raises:
            InfraError: a request failed and the load is not tolerant.
        """
        if concurrency < 1:
            raise UsageError(f"concurrency is at least 1, not {concurrency}")
        self._meet()
        waiting = iter(planned)

        async def user(hand_over: Callable[[Timed], None]) -> None:
            for each in waiting:
                hand_over(await self._asking.among_others(each, tolerant=tolerant))

        async def work(hand_over: Callable[[Timed], None]) -> None:
            async with asyncio.TaskGroup() as group:
                for _ in range(concurrency):
                    group.create_task(user(hand_over))

        yield from self._explained(work)

    def ask_open(self, planned: Iterable[Planned], *, max_in_flight: int = 1024) -> Iterator[Timed]:
        """An open loop: each request is sent when it is due, whatever became of the others; yields as they complete.

        Failures are results. Latencies count from the intended start as well (`ttft_intended_s`, `e2e_intended_s`), so
        that a wait for our own turn is no gain.

        Args:
            planned: in the order of `due_s`.
            max_in_flight: beyond these a request waits for its turn, and its latency says so.
        """
        self._meet()
        turn = asyncio.Semaphore(max_in_flight)

        async def one(each: Planned, due_at: float, hand_over: Callable[[Timed], None]) -> None:
            async with turn:
                hand_over(await self._asking.among_others(each, due_at, tolerant=True))

        async def work(hand_over: Callable[[Timed], None]) -> None:
            async with asyncio.TaskGroup() as group:
                async for each, due_at in _when_due(planned):
                    group.create_task(one(each, due_at, hand_over))

        yield from self._explained(work)

    def api(self) -> LlamaApi | None:
        """llama.cpp's own endpoints; None where the server does not have them."""
        api = LlamaApi(lambda: self._subject.endpoint_at(self._asking.server), self._subject.deadlines)
        return api if self.owned or api.answers() else None

    def rss_bytes(self) -> int | None:
        """Physical memory of the server's process tree now; None where it cannot be read."""
        pid = self._asking.server.pid
        return None if pid is None else ProcessMeter(pid).rss_bytes()

    def elapsed_s(self) -> float:
        """Since this process began with the measurement."""
        return self._account.elapsed_s()

    def note(self, text: str) -> None:
        """A sentence for the reader of the measurement."""
        self._account.note(text)

    def latest(self) -> Mapping[str, float]:
        """The newest sample of the system monitor; empty before the first."""
        return self._account.latest

    def _meet(self) -> None:
        """Claim the server."""
        self._asking.server = self._subject.server()
        self._account.meet(self._asking.server)

    def _survived(self, planned: Planned, send: Callable[[Planned], _T]) -> _T:
        """What `send` gives, of a new server where the first one dies under it."""
        for number in range(1, ATTEMPTS + 1):
            try:
                self._warm_up_anew()
                return send(planned)
            except WireError as error:
                self._give_up_or_note(error, planned.index, number)
        raise AssertionError("unreachable")

    def _warm_up_anew(self) -> None:
        before = self._asking.server
        self._meet()
        now = self._asking.server
        if (before.pid, before.started_at) == (now.pid, now.started_at):
            return
        self.note(f"the server was started again (pid {before.pid} → {now.pid}) and warmed up")
        warm, count = self._warm or (None, 0)
        for _ in range(count):
            assert warm is not None
            self._asking.throw_away(warm)

    def _give_up_or_note(self, error: WireError, index: int, number: int) -> None:
        died = self._subject.gone(error)
        if died is None:
            raise self._subject.explain(error) from error
        self._account.lose(died, self.name, f"repetition {index}", number)
        if number == ATTEMPTS:
            raise died from error
        what = f"repetition {index}" if index >= 0 else "the warm-up"
        self.note(f"{what} was repeated: its server died ({died.category})")

    def _explained(self, work: Callable[[Callable[[Timed], None]], Any]) -> Iterator[Timed]:
        """The results of several requests at once; a failure is raised with its reason."""
        try:
            yield from http.results(work)
        except ExceptionGroup as failures:
            error = _first(failures)
            if not isinstance(error, WireError):
                raise error from None
            raise (self._subject.gone(error) or self._subject.explain(error)) from error

    def _collect_now_and_then(self) -> None:
        if clock.monotonic() - self._collected_at > _COLLECT_EVERY_S:
            gc.collect()
            self._account.tell()
            self._collected_at = clock.monotonic()


async def _when_due(planned: Iterable[Planned]) -> AsyncIterator[tuple[Planned, float]]:
    """Each with the moment it is due at, not before that."""
    begun_at = clock.monotonic()
    for each in planned:
        due_at = begun_at + (each.due_s or 0.0)
        while (wait_s := due_at - clock.monotonic()) > 0:  # timers of the loop may be a millisecond early
            await clock.sleep_async(wait_s)
        yield each, due_at


def _first(failures: ExceptionGroup[Exception]) -> Exception:
    """The first failure of tasks that were cancelled for it."""
    found: Exception = failures
    while isinstance(found, ExceptionGroup):
        found = found.exceptions[0]
    return found
