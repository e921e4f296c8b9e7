"""Tells those who look on what is asked and what becomes of it; without any, nothing is made and nothing is told."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from pytest_llmbench.clients.request import told_of
from pytest_llmbench.observe.calls import CURRENT, CallBegun, CallEnded, Kind, Note
from pytest_llmbench.observe.seen import Seen

if TYPE_CHECKING:
    from pytest_llmbench.asker.means import Means
    from pytest_llmbench.asker.question import Question
    from pytest_llmbench.observe.observer import Observer
    from pytest_llmbench.records import Reply


def seen(means: Means, question: Question, attempt: int) -> Seen | None:
    """A call begins, in the task that makes it; what is to be sent along stands in `CURRENT`.

    Returns:
        None where nobody looks on.
    """
    if means.observer is None:
        return None
    begun = Seen(means.observer, call_of(question, means.run_id, attempt))
    if begun.headers:
        CURRENT.set(begun.headers)
    return begun


def seen_cached(observer: Observer | None, run_id: str, question: Question, reply: Reply) -> None:
    """A question was answered from the response cache."""
    if observer is not None:
        call = call_of(question, run_id, attempt=1)
        observer.ends(CallEnded.answered(call, reply, None, cached=True))


def note(means: Means, kind: Kind, message: str, *, model: str = "", **details: Any) -> None:
    """Something happened that is no call.

    Args:
        means: whose observer is told, where there is one.
        kind: what it is about.
        message: a sentence for people.
        model: whom it is about.
        **details: figures of it, builtin types only, units in their names.
    """
    if means.observer is not None:
        means.observer.notes(Note(kind, message, model, details))


def call_of(question: Question, run_id: str, attempt: int) -> CallBegun:
    """The call that an attempt at a question is; it begins now."""
    target, request = question.target, question.request
    return CallBegun(
        run_id=run_id,
        test_key=question.test_key,
        sample=question.sample,
        trial=question.ordinal,
        attempt=attempt,
        role=question.role,
        use_case=question.use_case,
        model=target.name,
        model_id=target.model_id,
        provider=target.provider,
        account=target.account,
        format=target.format,
        base_url=target.base_url,
        request_hash=question.request_hash,
        **told_of(request),
    )
