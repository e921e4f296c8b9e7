"""What can go wrong on request: a page as it should be → the page that is played."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

from pytest_llmbench.demo.forms import Form
from pytest_llmbench.demo.rate_limit import retry_headers
from pytest_llmbench.demo.script import Failure
from pytest_llmbench.demo.steps import (
    Close,
    Event,
    Page,
    Raw,
    Reset,
    Step,
    Wait,
    first_bytes,
    first_events,
    whole_page,
)

EXPIRED = "x-demo-expired"
"""The header of a page that stands for a request of a batch whose turn did not come."""
_BLOCK = 64 * 1024
_LAST = frozenset({"finish", "usage", "done"})
"""Kinds of events that come when an answer is whole; a word has as many of them as of its own."""
_MALFORMED = b'data: {"choices": [{"delta": \n\n'


@dataclass(frozen=True, slots=True)
class Fault:
    """One thing that can go wrong."""

    help: str
    page: Callable[[Case], Page]
    """What is played instead."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Case:
    """The answer that something is to go wrong with, and how much of it."""

    page: Page
    """What would have been played."""
    form: Form
    retry_after_s: float | None
    delay_s: float
    size_mb: int


def _refused(failure: Failure) -> Callable[[Case], Page]:
    def refuse(case: Case) -> Page:
        headers = {} if case.retry_after_s is None else retry_headers(case.retry_after_s, case.form)
        return case.form.failure(replace(failure, headers={**headers, **failure.headers}))

    return refuse


def _overloaded(case: Case) -> Page:
    status = 529 if case.form.name == "anthropic" else 503
    return _refused(Failure(status, "the demo provider is overloaded", "overloaded", "server_error"))(case)


def _quota(case: Case) -> Page:
    if case.form.name == "anthropic":
        return _refused(Failure(402, "Your credit balance is too low"))(case)
    return _refused(Failure(429, "You exceeded your current quota", "insufficient_quota", "insufficient_quota"))(case)


def _slow_headers(case: Case) -> Page:
    return replace(case.page, headers_after_s=case.page.headers_after_s + case.delay_s)


def _first_half(page: Page) -> list[Step]:
    """A stream's first events, never those that end its answer; or the first bytes of a whole reply."""
    kinds = [step.kind for step in page.steps if isinstance(step, Event)]
    if kinds:
        end = next((at for at, kind in enumerate(kinds) if kind in _LAST), len(kinds))
        return first_events(page.steps, min((len(kinds) + 1) // 2, end))
    whole = sum(len(step.data) for step in page.steps if isinstance(step, Raw))
    return first_bytes(page.steps, whole // 2)


def _ending(*end: Step) -> Callable[[Case], Page]:
    return lambda case: replace(case.page, steps=[*_first_half(case.page), *end])


def _cleanly_cut(case: Case) -> Page:
    return replace(case.page, steps=_first_half(case.page), chunked=True, content_length=None)


def _malformed(case: Case) -> Page:
    half = _first_half(case.page)
    nonsense = [Raw(_MALFORMED, "malformed")] if _streams(case.page) else []
    return replace(case.page, steps=[*half, *nonsense], chunked=True, content_length=None)


def _error_event(case: Case) -> Page:
    said = case.form.failure(Failure(500, "the demo provider failed amid its answer", "server_error", "server_error"))
    if not _streams(case.page):
        return replace(said, status=200)
    (told,) = (step.data.decode() for step in said.steps if isinstance(step, Raw))
    event = Event(told, "error", "error" if case.form.name == "anthropic" else "")
    return replace(case.page, steps=[*_first_half(case.page), event])


def _huge(case: Case) -> Page:
    blocks: list[Step] = [Raw(b"x" * _BLOCK, "huge")] * (case.size_mb * 1024 * 1024 // _BLOCK)
    begun = b'data: {"x": "' if _streams(case.page) else b'{"x": "'
    return replace(case.page, steps=[Raw(begun), *blocks], chunked=True, content_length=None)


def _empty(case: Case) -> Page:
    return replace(case.page, steps=[], chunked=True, content_length=None)


def _html(_: Case) -> Page:
    return whole_page(b"<html><body><h1>502 Bad Gateway</h1></body></html>", 502, "text/html", {}, "error")


def _streams(page: Page) -> bool:
    return page.content_type == "text/event-stream"


FAULTS: Mapping[str, Fault] = {
    "rate-limit": Fault(
        "429: too many requests, with `Retry-After` where told",
        _refused(Failure(429, "rate limit reached for the demo provider", "rate_limit_exceeded", "rate_limit_error")),
    ),
    "quota": Fault("429 that waiting does not help; Anthropic's form has 402", _quota),
    "server-error": Fault("500", _refused(Failure(500, "the demo provider failed", "server_error", "server_error"))),
    "overloaded": Fault("503; Anthropic's form has 529", _overloaded),
    "bad-gateway": Fault("502 with a page of HTML", _html),
    "auth": Fault("401", _refused(Failure(401, "wrong API key", "invalid_api_key", "authentication_error"))),
    "context-length": Fault(
        "400: the prompt is too long",
        _refused(Failure(400, "prompt is too long: it exceeds the context window", "context_length_exceeded")),
    ),
    "slow-headers": Fault("the headers come `delay_s` late", _slow_headers),
    "stall": Fault("half of the answer, then silence", _ending(Wait(float("inf")))),
    "truncated": Fault("half of the answer, then the connection closes", _ending(Close())),
    "cut": Fault("half of the answer, ended as if it were whole", _cleanly_cut),
    "reset": Fault("half of the answer, then the connection is reset", _ending(Reset())),
    "malformed": Fault("half of the answer, then what is no JSON", _malformed),
    "error-event": Fault("half of the answer, then an error; unstreamed, status 200 with an error", _error_event),
    "huge": Fault("a body of `size_mb` megabytes", _huge),
    "expired": Fault(
        "in a batch: its turn does not come; asked directly, 408",
        _refused(Failure(408, "the request expired", "batch_expired", headers={EXPIRED: "true"})),
    ),
    "empty": Fault("status 200 and nothing else", _empty),
}
