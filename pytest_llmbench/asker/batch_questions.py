"""Questions that lie with batch APIs: as they are written, and which they are."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pytest_llmbench.asker.cached import cache_key_of
from pytest_llmbench.asker.question import Question
from pytest_llmbench.clients import ChatRequest, Endpoint
from pytest_llmbench.errors import PendingError
from pytest_llmbench.records import Cost, Target
from pytest_llmbench.store import Store, batches
from pytest_llmbench.store.batches import Batch

EndpointOf = Callable[[Target], Endpoint]
"""Where a model is asked; may block, is called in a thread."""
REFUSED = Cost("0", "refused")
CACHE_KEY = "cache_key"
"""Of what is written: under which key the response cache has the reply, as it was asked; older rows lack it."""
_NO_FIELDS = frozenset({"request", CACHE_KEY})


def pending(store: Store, run_id: str) -> dict[str, str]:
    """Questions that are with a batch API: id → where and since when, in words."""
    return {
        question_of(batch, told).id: f"{batch.target['name']}: submitted at {batch.submitted_at[:16].replace('T', ' ')}"
        for batch in store.batches(run_id)
        if batch.state in batches.OPEN
        for told in batch.questions.values()
    }


def written(question: Question) -> dict[str, Any]:
    """What is written of a question, so that its reply finds its place."""
    return {
        "request": question.request.as_dict(),
        "test_key": question.test_key,
        "request_hash": question.request_hash,
        "ordinal": question.ordinal,
        "use_case": question.use_case,
        "role": question.role,
        "sample": question.sample,
        CACHE_KEY: cache_key_of(question),
    }


def question_of(batch: Batch, told: Mapping[str, Any]) -> Question:
    """The question that was written."""
    rest = {name: value for name, value in told.items() if name not in _NO_FIELDS}
    return Question(target=Target.from_dict(batch.target), request=ChatRequest.from_dict(told["request"]), **rest)


def still_pending(where: str) -> PendingError:
    """The error of a question whose reply lies with a batch API, as `pending` tells."""
    return PendingError(f"the reply of {where}", hint="`--resume last` collects it once the provider is done")
