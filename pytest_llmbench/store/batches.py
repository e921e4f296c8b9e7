"""What lies with providers' batch APIs: written before it is submitted, so that no kill makes anyone ask twice."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, bindparam, select, update

from pytest_llmbench import clock
from pytest_llmbench.records import FailedAttempt, Record
from pytest_llmbench.store import replies
from pytest_llmbench.store.rows import insert
from pytest_llmbench.store.tables import batch_questions, batches, spending

SUBMITTING = "submitting"
"""Written, and perhaps at the provider's already: whoever did it was stopped before it was told."""
SUBMITTED = "submitted"
COLLECTED = "collected"
LOST = "lost"
"""The provider never had it, or has it no more."""
OPEN = frozenset({SUBMITTING, SUBMITTED})


@dataclass(frozen=True, slots=True)
class Batch(Record):
    """Questions to one model, submitted together."""

    id: int
    provider_id: str
    """As the provider calls it; empty while that is not known."""
    target: Mapping[str, Any]
    state: str
    submitted_at: str
    """ISO 8601, UTC."""
    questions: Mapping[str, Mapping[str, Any]] = field(default_factory=dict)
    """By the ids that the provider was given for them."""

    @property
    def told(self) -> Iterable[Mapping[str, Any]]:
        """The questions themselves."""
        return self.questions.values()


@dataclass(frozen=True, slots=True)
class Draft:
    """A batch that is going to be submitted."""

    run_id: str
    target: Mapping[str, Any]
    questions: Mapping[str, Mapping[str, Any]]


@dataclass(frozen=True, slots=True)
class Begun:
    """A batch that is written and may be submitted."""

    number: int | None = None
    """Its row; None where all of it lies with a batch API already."""
    custom_ids: frozenset[str] = frozenset()
    """What is still to be submitted of it."""


@dataclass(frozen=True, slots=True)
class Settlement:
    """What was reserved for a question is settled."""

    question: str
    """Its id."""
    usd: str | None
    """In US dollars as decimal text; None: nobody told."""


@dataclass(frozen=True, slots=True)
class Harvest:
    """All that came of a batch."""

    run_id: str
    batch: int
    state: str
    replies: Sequence[replies.Kept] = ()
    failed: Sequence[tuple[str, FailedAttempt]] = ()
    """Test key and what went wrong."""
    settled: Sequence[Settlement] = ()


def begin(connection: Connection, drafts: Sequence[Draft]) -> list[Begun]:
    """Write batches that are going to be submitted, without what others have submitted meanwhile."""
    return [_begin(connection, draft) for draft in drafts]


def _begin(connection: Connection, draft: Draft) -> Begun:
    lying = {place_of(told) for batch in of_run(connection, draft.run_id) if batch.state in OPEN for told in batch.told}
    fresh = {name: told for name, told in draft.questions.items() if place_of(told) not in lying}
    if not fresh:
        return Begun()
    row = {"provider_id": "", "target": dict(draft.target), "state": SUBMITTING, "submitted_at": _now()}
    number = connection.execute(insert(batches).values(run_id=draft.run_id, **row).returning(batches.c.id)).scalar()
    rows = [{"batch": number, "custom_id": name, "question": dict(told)} for name, told in fresh.items()]
    connection.execute(insert(batch_questions), rows)
    return Begun(number, frozenset(fresh))


def place_of(told: Mapping[str, Any]) -> tuple[Any, ...]:
    """Of a question that was written, where its reply is kept: test key, hash of the request, ordinal."""
    return told.get("test_key"), told.get("request_hash"), told.get("ordinal")


def confirm(connection: Connection, told: Sequence[tuple[int, str]]) -> list[None]:
    """Write under which ids the provider has batches: (row number, provider's id)."""
    for number, provider_id in told:
        changed = {"provider_id": provider_id, "state": SUBMITTED}
        connection.execute(update(batches).where(batches.c.id == number).values(**changed))
    return [None] * len(told)


def finish(connection: Connection, harvests: Sequence[Harvest]) -> list[None]:
    """Write all that came of batches, and that they are done with: both or neither."""
    for harvest in harvests:
        if harvest.replies:
            replies.save_all(connection, harvest.replies)
        for test_key, attempt in harvest.failed:
            replies.save_failed(connection, harvest.run_id, test_key, attempt)
        _settle(connection, harvest)
        closed = {"state": harvest.state, "collected_at": _now()}
        connection.execute(update(batches).where(batches.c.id == harvest.batch).values(**closed))
    return [None] * len(harvests)


def of_run(connection: Connection, run_id: str) -> list[Batch]:
    """All batches of a run with their questions, in the order in which they were submitted."""
    mine = select(batches).where(batches.c.run_id == run_id).order_by(batches.c.id)
    asked = select(batch_questions).join(batches, batches.c.id == batch_questions.c.batch)
    questions: defaultdict[int, dict[str, Any]] = defaultdict(dict)
    for row in connection.execute(asked.where(batches.c.run_id == run_id).order_by(batch_questions.c.id)).mappings():
        questions[row["batch"]][row["custom_id"]] = row["question"]
    rows = connection.execute(mine).mappings()
    return [Batch.from_dict({**row, "questions": questions[row["id"]]}) for row in rows]


def _settle(connection: Connection, harvest: Harvest) -> None:
    if not harvest.settled:
        return
    mine = (spending.c.run_id == harvest.run_id) & (spending.c.question == bindparam("asked"))
    settle = update(spending).where(mine & (spending.c.state == "reserved"))
    changed = settle.values(state=bindparam("now_state"), settled_usd=bindparam("usd"), at=_now())
    rows = [
        {"asked": each.question, "usd": each.usd, "now_state": "unknown" if each.usd is None else "settled"}
        for each in harvest.settled
    ]
    connection.execute(changed, rows)


def _now() -> str:
    return clock.now().isoformat()
