"""Replies from batch APIs: stored exactly as asked ones are, at the batch's price.

What a provider left undone is a failed attempt, and free to be asked again.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime

from pytest_llmbench import clock
from pytest_llmbench.asker import batch_api
from pytest_llmbench.asker.batch_api import APIS, Item, Polled, Sought
from pytest_llmbench.asker.batch_questions import CACHE_KEY, REFUSED, EndpointOf, question_of
from pytest_llmbench.asker.batch_seen import BatchSeen
from pytest_llmbench.asker.question import Question
from pytest_llmbench.cache.response_cache import ResponseCache
from pytest_llmbench.clients import Endpoint
from pytest_llmbench.clients.asking import read_whole
from pytest_llmbench.clients.formats import WIRES
from pytest_llmbench.clients.refusals import refusal
from pytest_llmbench.errors import Category, WireError
from pytest_llmbench.observe.calls import CallEnded
from pytest_llmbench.observe.observer import Observer
from pytest_llmbench.providers.costs import call_cost
from pytest_llmbench.records import FailedAttempt, Reply, Target, Usage
from pytest_llmbench.store import Store, batches
from pytest_llmbench.store.batches import Batch, Harvest, Settlement
from pytest_llmbench.store.replies import Kept


@dataclass(frozen=True, slots=True)
class Collected:
    """What came back."""

    done: int = 0
    """Replies that were stored."""
    pending: int = 0
    """Questions that are still with a provider."""
    failed: int = 0
    """Questions that are with none any more, and have no reply: they are free to be asked again."""
    notes: tuple[str, ...] = ()


async def collect(
    store: Store,
    run_id: str,
    endpoint_of: EndpointOf,
    *,
    record: Callable[[Question, Reply], None] | None = None,
    cache: ResponseCache | None = None,
    observer: Observer | None = None,
) -> Collected:
    """Fetch what has come of the run's batches; a provider that cannot be reached now is noted, not raised.

    Args:
        store: where replies are kept, as asked ones are.
        run_id: the run whose batches are meant.
        endpoint_of: see `EndpointOf`.
        record: given every reply that came.
        cache: where replies are put once they are stored; None: nowhere.
        observer: told of what came of each batch.
    """
    found = Collected()
    every = store.batches(run_id)
    for batch in every:
        if batch.state not in batches.OPEN:
            continue
        try:
            one = await _Collecting(store, run_id, batch, every, endpoint_of, record, cache, observer).result()
        except WireError as error:
            one = Collected(pending=len(batch.questions), notes=(error.message,))
        found = Collected(
            found.done + one.done, found.pending + one.pending, found.failed + one.failed, found.notes + one.notes
        )
    return found


@dataclass(frozen=True, slots=True)
class _Collecting:
    """One batch on its way back."""

    store: Store
    run_id: str
    batch: Batch
    every: Sequence[Batch]
    endpoint_of: EndpointOf
    record: Callable[[Question, Reply], None] | None
    cache: ResponseCache | None
    observer: Observer | None

    async def result(self) -> Collected:
        target = Target.from_dict(self.batch.target)
        endpoint = await asyncio.to_thread(self.endpoint_of, target)
        api = APIS[target.format]
        provider_id = self.batch.provider_id or await api.find(endpoint, self._sought())
        if not provider_id:
            return await self._lost("was never submitted: this program was stopped before", "")
        if not self.batch.provider_id:
            await asyncio.wrap_future(self.store.submit(batches.confirm, (self.batch.id, provider_id)))
        try:
            polled = await api.poll(endpoint, provider_id)
        except WireError as error:
            if error.status != 404:
                raise
            return await self._lost(f"is not known to the provider any more ({provider_id})", provider_id)
        seen = self._seen(provider_id)
        seen.looked_at(polled.status)
        if not polled.ended:
            return Collected(pending=len(self.batch.questions))
        items = [item for path in polled.sources for item in api.items(await batch_api.fetched(endpoint, path))]
        return await self._kept(endpoint, polled, {item.custom_id: item for item in items}, seen)

    def _sought(self) -> Sought:
        token = batch_api.token_of(self.batch.questions)
        taken = frozenset(each.provider_id for each in self.every if each.provider_id)
        return Sought(token, len(self.batch.questions), datetime.fromisoformat(self.batch.submitted_at), taken)

    def _seen(self, provider_id: str) -> BatchSeen:
        model, requests = str(self.batch.target["name"]), len(self.batch.questions)
        return BatchSeen(self.observer, self.run_id, model, requests, self.batch.submitted_at, provider_id)

    async def _lost(self, what: str, provider_id: str) -> Collected:
        settled = [Settlement(question_of(self.batch, told).id, "0") for told in self.batch.questions.values()]
        harvest = Harvest(self.run_id, self.batch.id, batches.LOST, settled=settled)
        await asyncio.wrap_future(self.store.submit(batches.finish, harvest))
        self._seen(provider_id).lost(what)
        lost = len(self.batch.questions)
        return Collected(failed=lost, notes=(f"a batch of {lost} requests to {self.batch.target['name']} {what}",))

    async def _kept(self, endpoint: Endpoint, polled: Polled, items: Mapping[str, Item], seen: BatchSeen) -> Collected:
        kept: list[Kept] = []
        failed: list[tuple[str, FailedAttempt]] = []
        settled: list[Settlement] = []
        ended: list[CallEnded] = []
        for name, told in self.batch.questions.items():
            question = question_of(self.batch, told)
            item = items.get(name) or Item(name, 0, problem=polled.problem or f"the batch {polled.status} without it")
            try:
                reply = self._reply(question, endpoint, item)
            except WireError as error:
                attempt = _failed(question, error)
                failed.append((question.test_key, attempt))
                settled.append(Settlement(question.id, attempt.cost.usd or None))
                ended.append(seen.failed(question, error, attempt.cost))
            else:
                kept.append(Kept(self.run_id, question.test_key, question.ordinal, question.request.as_dict(), reply))
                settled.append(Settlement(question.id, str(reply.cost.spent) if reply.cost.usd else None))
                ended.append(seen.answered(question, reply))
        harvest = Harvest(self.run_id, self.batch.id, batches.COLLECTED, kept, failed, settled)
        await asyncio.wrap_future(self.store.submit(batches.finish, harvest))
        self._put(kept)
        seen.tell(ended)
        notes = _notes(self.batch, polled, failed)
        return Collected(done=len(kept), failed=len(failed), notes=notes)

    def _put(self, kept: Sequence[Kept]) -> None:
        """Put what came into the response cache; it is stored already, so what was paid is on the books first."""
        if self.cache is None:
            return
        keys = {
            (told["test_key"], told["request_hash"], told["ordinal"]): told.get(CACHE_KEY) for told in self.batch.told
        }
        for each in kept:
            if key := keys.get(each.place):
                self.cache.put(key, each.reply)

    def _reply(self, question: Question, endpoint: Endpoint, item: Item) -> Reply:
        shown = f"{question.target.name} (batch)"
        if item.status == 0:
            raise WireError(f"{shown}: {item.problem}", category=Category.CANCELLED)
        if item.status != 200:
            raise refusal(shown, item.status, {}, item.body, endpoint.api_key)
        reply = read_whole(WIRES[endpoint.format], endpoint, question.request, item.body)
        cost = call_cost(question.target, reply.usage, batch=True)
        whole = dataclasses.replace(reply, request_hash=question.request_hash, cost=cost, role=question.role)
        if self.record is not None:
            self.record(question, whole)
        return whole


def _failed(question: Question, error: WireError) -> FailedAttempt:
    usage = error.usage or Usage()
    return FailedAttempt(
        model=question.target.name,
        request_hash=question.request_hash,
        number=1,
        category=str(error.category),
        message=error.message,
        partial_text=error.partial_text,
        at=clock.now().isoformat(),
        usage=usage,
        cost=call_cost(question.target, usage, batch=True) if error.usage else REFUSED,
        role=question.role,
    )


def _notes(batch: Batch, polled: Polled, failed: Sequence[tuple[str, FailedAttempt]]) -> tuple[str, ...]:
    if not failed:
        return ()
    which = f"{len(failed)} of {len(batch.questions)} requests of a batch to {batch.target['name']} ({polled.status})"
    return (f"{which} have no reply; the first: {failed[0][1].message}",)
