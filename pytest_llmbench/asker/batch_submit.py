"""Questions to batch APIs: half the price, and an answer within a day.

What is submitted is written down before, with the ids under which it goes out, so that what the provider has is never
asked a second time, whoever is killed when.
"""

from __future__ import annotations

import asyncio
import dataclasses
from collections import defaultdict
from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

from pytest_llmbench import clock
from pytest_llmbench.asker import batch_api
from pytest_llmbench.asker.batch_api import APIS
from pytest_llmbench.asker.batch_questions import REFUSED, EndpointOf, pending, written
from pytest_llmbench.asker.batch_seen import BatchSeen
from pytest_llmbench.asker.budget import Budget, Reservation
from pytest_llmbench.asker.fitting import fitted
from pytest_llmbench.asker.question import Question
from pytest_llmbench.asker.worst_case import worst_case_of
from pytest_llmbench.clients import Endpoint
from pytest_llmbench.clients.formats import WIRES
from pytest_llmbench.errors import LlmbenchError, OverBudgetError, UsageError, WireError
from pytest_llmbench.observe.observer import Observer
from pytest_llmbench.providers.costs import BATCH_SHARE
from pytest_llmbench.providers.table import DEMO_URL
from pytest_llmbench.store import Store, batches
from pytest_llmbench.store.batches import Draft, Harvest

_Asked = tuple[Question, dict[str, Any], tuple[str, ...]]
"""A question, the body it makes, and what had to give way."""


@dataclass(frozen=True, slots=True)
class Submitted:
    """What went out."""

    batches: int
    questions: int
    notes: tuple[str, ...] = ()


async def submit(
    store: Store,
    run_id: str,
    questions: Sequence[Question],
    endpoint_of: EndpointOf,
    *,
    keep_prompts: bool = True,
    budget: Budget | None = None,
    left_of: Callable[[Sequence[Question]], Sequence[Question]] | None = None,
    observer: Observer | None = None,
) -> Submitted:
    """Submit questions, a batch a model; those that are stored or submitted already are left out.

    Args:
        store: where it is written down.
        run_id: the run they belong to.
        questions: what is asked.
        endpoint_of: see `EndpointOf`.
        keep_prompts: whether texts may be written; a batch's replies come by way of the store, so they must.
        budget: what it has to fit into; half the worst case is reserved until the replies are collected.
        left_of: answers and stores what it can without a provider, gives the rest; may block, is called in a thread.
        observer: told of what is submitted.

    Raises:
        UsageError: a model has no batch API, a request does not fit its model, or texts may not be written; nothing
            was submitted.
        OverBudgetError: one of them does not fit into the budget; what was submitted before stays so.
        WireError: a provider refused or could not be reached; what was submitted before stays so.
    """
    if not keep_prompts:
        raise UsageError(
            "the replies of a batch come in a later session, by way of the results database, which may hold no texts",
            hint="run without --batch, or with keep_prompts=yes",
        )
    wanted: Sequence[Question] = _wanted(store, run_id, questions)
    if left_of is not None:
        wanted = await asyncio.to_thread(left_of, wanted)
    chunks = [chunk for same in _by_target(wanted) for chunk in await _chunks(same, endpoint_of)]
    counts = [await _submit_chunk(store, run_id, chunk, budget, observer) for chunk in chunks]
    notes = tuple(dict.fromkeys(note for chunk in chunks for note in chunk.notes))
    return Submitted(sum(count > 0 for count in counts), sum(counts), notes)


@dataclass(frozen=True, slots=True)
class _Chunk:
    """What goes out as one batch."""

    endpoint: Endpoint
    questions: Mapping[str, Question]
    """By custom id."""
    bodies: Mapping[str, Mapping[str, Any]]
    notes: Sequence[str]


def _wanted(store: Store, run_id: str, questions: Sequence[Question]) -> list[Question]:
    known, stored = pending(store, run_id), store.stored_replies(run_id)
    return [
        question
        for question in {question.id: question for question in questions}.values()
        if question.id not in known and question.place not in stored
    ]


def _by_target(questions: Sequence[Question]) -> list[list[Question]]:
    groups: defaultdict[str, list[Question]] = defaultdict(list)
    for question in questions:
        groups[question.target.name].append(question)
    return list(groups.values())


async def _chunks(questions: Sequence[Question], endpoint_of: EndpointOf) -> list[_Chunk]:
    """The batches that questions to one model make."""
    target = questions[0].target
    if target.format not in APIS:
        raise UsageError(
            f"{target.name} cannot be asked through a batch API: none is known for the format {target.format!r}",
            hint=f"run it without --batch; formats with one: {', '.join(APIS)}",
        )
    if target.base_url == DEMO_URL:
        raise UsageError(
            f"{target.name}: the demo provider of a run ends with it, and a batch has to outlive it",
            hint="start `llmbench demo-server`, and give its address in llmbench.yaml: "
            "`providers: {demo: {url: http://127.0.0.1:8099/v1}}`",
        )
    endpoint = await asyncio.to_thread(endpoint_of, target)
    asked = [(question, *_body(question, endpoint)) for question in questions]
    return [_chunk(endpoint, part) for part in _parts(asked)]


def _body(question: Question, endpoint: Endpoint) -> tuple[dict[str, Any], tuple[str, ...]]:
    request, notes = fitted(question.request, question.target)
    body = WIRES[endpoint.format].body(endpoint, dataclasses.replace(request, stream=False))
    body.pop("stream", None)
    return body, notes


def _parts(asked: Sequence[_Asked]) -> Iterator[Sequence[_Asked]]:
    part: list[_Asked] = []
    size_bytes = 0
    for each in asked:
        length = len(str(each[1]).encode("utf-8", "replace")) + 200
        if part and (len(part) >= batch_api.MOST_REQUESTS or size_bytes + length > batch_api.MOST_BYTES):
            yield part
            part, size_bytes = [], 0
        part.append(each)
        size_bytes += length
    yield part


def _chunk(endpoint: Endpoint, part: Sequence[_Asked]) -> _Chunk:
    token = uuid4().hex[:16]
    named = [(f"{token}-{number}", *each) for number, each in enumerate(part)]
    return _Chunk(
        endpoint,
        {name: question for name, question, _, _ in named},
        {name: body for name, _, body, _ in named},
        [note for _, _, _, notes in named for note in notes],
    )


async def _submit_chunk(
    store: Store, run_id: str, chunk: _Chunk, budget: Budget | None, observer: Observer | None
) -> int:
    """Submit what nobody else submitted meanwhile; returns how many questions that were."""
    target = next(iter(chunk.questions.values())).target
    told = {name: written(question) for name, question in chunk.questions.items()}
    begun = await asyncio.wrap_future(store.submit(batches.begin, Draft(run_id, target.as_dict(), told)))
    if begun.number is None:
        return 0
    seen = BatchSeen(observer, run_id, target.name, len(begun.custom_ids), clock.now().isoformat())
    reserved: Sequence[Reservation] = ()
    try:
        reserved = await _reserved([chunk.questions[name] for name in begun.custom_ids], budget)
        bodies = {name: body for name, body in chunk.bodies.items() if name in begun.custom_ids}
        provider_id = await APIS[target.format].create(chunk.endpoint, bodies)
    except LlmbenchError as error:
        if _is_certain(error):
            await asyncio.wrap_future(store.submit(batches.finish, Harvest(run_id, begun.number, batches.LOST)))
            await _let_go(reserved, budget)
            seen.lost(f"was not submitted: {error.message}")
        raise
    await asyncio.wrap_future(store.submit(batches.confirm, (begun.number, provider_id)))
    dataclasses.replace(seen, provider_id=provider_id).submitted()
    return len(bodies)


def _is_certain(error: Exception) -> bool:
    """Whether the provider has nothing: it was not asked, or refused."""
    return not isinstance(error, WireError) or (error.status is not None and 400 <= error.status < 500)


async def _let_go(reserved: Sequence[Reservation], budget: Budget | None) -> None:
    if budget is not None:
        await asyncio.gather(*(asyncio.wrap_future(budget.settle(each, REFUSED)) for each in reserved))


async def _reserved(questions: Collection[Question], budget: Budget | None) -> list[Reservation]:
    """Half of each capped question's worst case, taken from the budget; all or none."""
    if budget is None:
        return []
    reserved: list[Reservation] = []
    try:
        for question in filter(budget.caps.hold, questions):
            reserved.append(_half_reserved(question, budget))  # noqa: PERF401 - what came before the refusal is let go
    except OverBudgetError:
        await _let_go(reserved, budget)
        raise
    await asyncio.gather(*(asyncio.wrap_future(each.saved) for each in reserved))
    return reserved


def _half_reserved(question: Question, budget: Budget) -> Reservation:
    reservation = budget.reserve(question, worst_case_of(question) * BATCH_SHARE)
    if reservation is None:
        raise OverBudgetError(f"{question.target.name}: what is left of the budget is reserved for other calls")
    return reservation
