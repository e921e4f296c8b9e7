"""Several requests at once, and once more for those whose server died under them."""

from __future__ import annotations

import asyncio
import dataclasses
from collections import Counter
from collections.abc import Callable, Sequence
from concurrent.futures import Executor, ThreadPoolExecutor
from functools import partial

from pytest_llmbench import http
from pytest_llmbench.clients.request import ChatRequest, Endpoint
from pytest_llmbench.clients.watched import Begin, seen_chat
from pytest_llmbench.errors import Category, InfraError, WireError
from pytest_llmbench.observe.seen import Seen
from pytest_llmbench.records import Reply

Keep = Callable[[ChatRequest, Reply], Reply]
"""Stores a complete reply; gives it back with its id."""

Lost = Callable[[ChatRequest, int, WireError], InfraError | None]
"""(request, which attempt it was, how it broke) → why its server is gone, having kept what had come; None while it
lives."""

ATTEMPTS = 2
"""How often a request is asked at most, where its server dies."""

GONE = frozenset({Category.NETWORK_RESET, Category.NETWORK_REFUSED, Category.STREAM_TRUNCATED})
"""How an exchange breaks when its server dies."""


def ask_each(
    requests: Sequence[ChatRequest],
    *,
    endpoint: Callable[[], Endpoint],
    deadlines: http.Deadlines,
    concurrency: int,
    keep: Keep | None = None,
    lost: Lost | None = None,
    begins: Sequence[Begin] | None = None,
    stop: http.Stop | None = None,
) -> list[Reply]:
    """Ask all; where the server dies, those that broke and those not asked yet are asked of a new one.

    Args:
        requests: what is asked.
        endpoint: where; called anew after a death.
        deadlines: of each request.
        concurrency: how many are under way at once.
        keep: called in a thread of its own, one reply at a time.
        lost: told of each exchange that broke as it does when its server dies, in the same thread.
        begins: of each request, what tells those who look on that it is asked.
        stop: breaks it off from another thread.

    Returns:
        The replies in the order of the requests.

    Raises:
        WireError: one got no complete reply though its server lives; the others were cancelled.
        InfraError: the server died under the same request a second time, or could not be started again.
    """
    replies: dict[int, Reply] = {}
    attempts: Counter[int] = Counter()
    while missing := [index for index in range(len(requests)) if index not in replies]:
        where = endpoint()
        # The keeper outlives a cancelled wait: leaving its block stores what was complete, Ctrl-C or not.
        with ThreadPoolExecutor(1, thread_name_prefix="llmbench-keep") as keeper:
            asked = _Round(where, deadlines, attempts, keeper, keep=keep, lost=lost, begins=begins)
            http.run(asked.run({index: requests[index] for index in missing}, concurrency), stop)
        replies |= asked.replies
        for index, reason in asked.broken.items():
            if attempts[index] >= ATTEMPTS:
                raise reason
    return [replies[index] for index in range(len(requests))]


class _Round:
    """Requests to one address, until all are answered or its server is gone."""

    def __init__(
        self,
        where: Endpoint,
        deadlines: http.Deadlines,
        attempts: Counter[int],
        keeper: Executor,
        *,
        keep: Keep | None,
        lost: Lost | None,
        begins: Sequence[Begin] | None,
    ) -> None:
        self.replies: dict[int, Reply] = {}
        self.broken: dict[int, InfraError] = {}
        self._where = where
        self._deadlines = deadlines
        self._attempts = attempts
        self._keeper = keeper
        self._keep = keep
        self._lost = lost
        self._begins = begins
        self._calm = asyncio.Event()
        self._calm.set()

    async def run(self, requests: dict[int, ChatRequest], concurrency: int) -> None:
        turn = asyncio.Semaphore(concurrency)
        try:
            async with asyncio.TaskGroup() as group:
                for index, request in requests.items():
                    group.create_task(self._in_turn(turn, index, request))
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from None

    async def _in_turn(self, turn: asyncio.Semaphore, index: int, request: ChatRequest) -> None:
        async with turn:
            await self._calm.wait()  # while a death is looked into, a further request would only break too
            if self.broken:
                return
            seen = self._begin(index)
            try:
                reply = await seen_chat(seen, self._where, request, self._deadlines)
            except WireError as error:
                try:
                    await self._mourn(index, request, error)
                finally:
                    self._decided(index, seen)
                return
        reply = dataclasses.replace(reply, attempts=self._attempts[index] + 1)
        if self._keep is not None:
            keeping = asyncio.get_running_loop().run_in_executor(self._keeper, partial(self._keep, request, reply))
            reply = await asyncio.shield(keeping)
        self.replies[index] = reply

    def _begin(self, index: int) -> Seen | None:
        return None if self._begins is None else self._begins[index](self._where, self._attempts[index] + 1)

    def _decided(self, index: int, seen: Seen | None) -> None:
        if seen is not None:
            is_tried_again = index in self.broken and self._attempts[index] < ATTEMPTS
            seen.decided(0.0 if is_tried_again else None)

    async def _mourn(self, index: int, request: ChatRequest, error: WireError) -> None:
        """Note a request whose server died; any other failure is raised."""
        if self._lost is None or error.category not in GONE:
            raise error
        self._calm.clear()
        self._attempts[index] += 1
        look = partial(self._lost, request, self._attempts[index], error)
        reason = await asyncio.shield(asyncio.get_running_loop().run_in_executor(self._keeper, look))
        if reason is None:
            raise error
        reason.__cause__ = error
        self.broken[index] = reason
        self._calm.set()
