"""What providers say about their limits in headers, in all the forms that are about."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from pytest_llmbench import clock
from pytest_llmbench.asker.rate_headers import REQUESTS, TOKENS, Left, left, may_retry, retry_after_s

NOW = datetime(2026, 10, 21, 7, 28, 0, tzinfo=UTC)


@pytest.fixture(autouse=True)
def _stopped_clock(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(clock, "now", lambda: NOW)


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({}, None),
        ({"retry-after": "20"}, 20),
        ({"retry-after": "1.5"}, 1.5),
        ({"retry-after": "0"}, 0),
        ({"retry-after-ms": "1500", "retry-after": "2"}, 1.5),
        ({"retry-after": "Wed, 21 Oct 2026 07:28:30 GMT"}, 30),
        ({"retry-after": "Wed, 21 Oct 2026 07:00:00 GMT"}, 0),
        ({"retry-after": "Wed, 21 Oct 2026 08:00:30 GMT", "date": "Wed, 21 Oct 2026 08:00:00 GMT"}, 30),
        ({"retry-after": "soon"}, None),
        ({"retry-after": "-5"}, None),
        ({"retry-after": "nan"}, None),
        ({"retry-after": "٣"}, None),
        ({"retry-after": "9" * 5000}, None),
    ],
)
def test_when_to_come_back_is_read_in_every_form(headers: dict[str, str], seconds: float | None) -> None:
    """Seconds, milliseconds, a date by the provider's own clock; what is no time is left out."""
    found = retry_after_s(headers)
    assert found == (None if seconds is None else pytest.approx(seconds)) or (found or 0) > 1e9


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("1s", 1),
        ("6m0s", 360),
        ("20ms", 0.02),
        ("2m59.56s", 179.56),
        ("1h2m3s", 3723),
        ("1d", 86400),
        ("30", 30),
        ("2026-10-21T07:29:00Z", 60),
        ("2026-10-21T09:29:00+02:00", 60),
        ("1792567740", 60),
        ("1792567740000", 60),
    ],
)
def test_when_a_limit_is_whole_again_is_read_in_every_form(text: str, seconds: float) -> None:
    """Durations of Go, seconds, RFC 3339, points in time in seconds or milliseconds."""
    headers = {"x-ratelimit-remaining-requests": "3", "x-ratelimit-reset-requests": text}
    assert left(headers) == [Left(REQUESTS, 3, pytest.approx(seconds))]


@pytest.mark.parametrize("text", ["", "later", "-1s", "1x", "٣s", "99999999999999999999999", "2026-13-45T00:00:00Z"])
def test_a_limit_without_a_time_that_can_be_read_is_left_out(text: str) -> None:
    """A hint that makes no sense holds nothing up."""
    assert left({"x-ratelimit-remaining-tokens": "0", "x-ratelimit-reset-tokens": text}) == []


def test_requests_and_tokens_are_told_apart_for_every_provider() -> None:
    """OpenAI's names, Anthropic's with input and output tokens, and the plain ones."""
    reset = "2026-10-21T07:28:10Z"
    headers = {
        "anthropic-ratelimit-requests-remaining": "49",
        "anthropic-ratelimit-requests-reset": reset,
        "anthropic-ratelimit-input-tokens-remaining": "1000",
        "anthropic-ratelimit-input-tokens-reset": reset,
        "anthropic-ratelimit-output-tokens-remaining": "200",
        "anthropic-ratelimit-output-tokens-reset": reset,
        "x-ratelimit-remaining": "7",
        "x-ratelimit-reset": "1792567690000",
    }
    assert {(each.kind, each.remaining, each.reset_s) for each in left(headers)} == {
        (REQUESTS, 49, 10),
        (TOKENS, 1000, 10),
        (TOKENS, 200, 10),
        (REQUESTS, 7, 10),
    }


def test_the_provider_may_say_whether_trying_again_helps() -> None:
    """`x-should-retry`, as OpenAI and Anthropic send it."""
    assert may_retry({"x-should-retry": "true"}) is True
    assert may_retry({"x-should-retry": "False"}) is False
    assert may_retry({}) is None
