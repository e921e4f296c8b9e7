"""A reply as it lies in a cache: given again whole or not at all."""

from __future__ import annotations

import dataclasses
import hashlib
import json
import random
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from pytest_llmbench import redaction
from pytest_llmbench.cache.entries import MAX_BYTES, decoded, encoded, given_again, may_be_kept
from pytest_llmbench.records import Cost, Reply, Timing, ToolCall, Usage

NOW = datetime(2026, 11, 22, 5, 0, tzinfo=UTC)
KEY, OTHER = "a" * 64, "b" * 64
DAY_S = 86400.0
REPLY = Reply(
    "forty-two \N{SNOWMAN}",
    "cloud/one",
    served_model="one-2026",
    reasoning="hm",
    tool_calls=(ToolCall("call_1", "look", '{"a":1}'),),
    finish_reason="stop",
    usage=Usage(10, 20, cached_tokens=3, billed_usd="0.01"),
    timing=Timing(ttft_s=0.1, e2e_s=0.5),
    cost=Cost("0.01", "billed"),
    attempts=3,
    role="judge",
    request_hash="elsewhere",
    streamed=True,
    id="17",
)


def value_of(reply: Reply = REPLY, key: str = KEY) -> bytes:
    value = encoded(key, reply, NOW)
    assert value is not None
    return value


def read(value: bytes, key: str = KEY, *, ttl_s: float = DAY_S, after: timedelta = timedelta(hours=1)) -> Reply | None:
    return decoded(key, value, ttl_s=ttl_s, now=NOW + after)


def wrapped(entry: Any) -> bytes:
    """What somebody writes who knows how: the right checksum around whatever they like."""
    body = entry if isinstance(entry, bytes) else json.dumps(entry).encode()
    return b'{"v":1,"sha256":"' + hashlib.sha256(body).hexdigest().encode() + b'","entry":' + body + b"}"


def entry_of(**changed: Any) -> dict[str, Any]:
    entry = json.loads(value_of())["entry"]
    return {**entry, "reply": {**entry["reply"], **changed}}


def test_a_reply_comes_back_with_all_it_said_and_nothing_it_took() -> None:
    """Text, reasoning, tools, tokens; no times, no money, no attempts, and when it was asked first."""
    found = read(value_of())
    assert found is not None
    assert found == dataclasses.replace(
        REPLY,
        timing=Timing(),
        cost=Cost("0.01", "cached", NOW.isoformat()),
        attempts=0,
        role="subject",
        request_hash="",
        id="",
    )
    assert (found.is_cached, found.cost.spent, REPLY.is_cached) == (True, 0, False)


def test_who_waited_for_the_same_gets_the_same_as_who_looks_it_up() -> None:
    """There is one form of a reply that is given again."""
    waited = dataclasses.replace(given_again(REPLY, NOW), role="subject", request_hash="")
    assert waited == read(value_of())


def test_a_value_is_json_that_others_can_read() -> None:
    """Version, checksum, entry."""
    told = json.loads(value_of())
    assert (told["v"], told["entry"]["key"], told["entry"]["reply"]["text"]) == (1, KEY, REPLY.text)


@pytest.mark.parametrize(
    ("changed", "is_kept"),
    [
        ({}, True),
        ({"finish_reason": "length"}, True),
        ({"finish_reason": "tool_calls", "text": ""}, True),
        ({"finish_reason": "content_filter"}, False),
        ({"finish_reason": "error"}, False),
        ({"finish_reason": ""}, False),
        ({"text": "", "tool_calls": ()}, False),
        ({"text": " \n", "tool_calls": ()}, False),
    ],
)
def test_only_complete_replies_that_say_something_are_kept(changed: dict[str, Any], is_kept: bool) -> None:
    """Neither filtered nor empty ones, nor those of which nobody knows how they ended."""
    reply = dataclasses.replace(REPLY, **changed)
    assert may_be_kept(reply) is is_kept
    assert (encoded(KEY, reply, NOW) is not None) is is_kept


def test_every_bit_that_flips_makes_a_miss() -> None:
    """Wherever it is: in the checksum, in a number, in a text, in the brackets."""
    value = value_of()
    for bit in range(8 * len(value)):
        broken = bytearray(value)
        broken[bit // 8] ^= 1 << bit % 8
        assert read(bytes(broken)) is None, f"bit {bit} of {value!r}"


def test_whatever_is_cut_off_added_or_swapped_makes_a_miss() -> None:
    """Truncated at every place, with a tail, with the content of another row, nonsense of any kind."""
    value = value_of()
    assert all(read(value[:end]) is None for end in range(len(value)))
    assert read(value + b" ") is None
    assert read(value, key=OTHER) is None
    noise = random.Random(1)
    for size in (0, 1, 100, 10_000):
        assert read(noise.randbytes(size)) is None


@pytest.mark.parametrize(
    "entry",
    [
        b"not json",
        b"[" * 100_000,
        b"null",
        b"[]",
        b'{"key":1e999}',
        {"key": KEY},
        {"key": KEY, "at": NOW.isoformat(), "reply": None},
        {"key": KEY, "at": NOW.isoformat(), "reply": []},
        {"key": KEY, "at": NOW.isoformat(), "reply": {"text": "x"}},
        {**entry_of(), "at": 5},
        {**entry_of(), "at": "yesterday"},
        {**entry_of(), "at": "2026-11-22T05:00:00"},
        entry_of(text=5),
        entry_of(text=None),
        entry_of(text="", tool_calls=[]),
        entry_of(finish_reason="content_filter"),
        entry_of(model={}),
        entry_of(tool_calls=[1]),
        entry_of(tool_calls=[{"id": 1, "name": "x", "arguments": "{}"}]),
        entry_of(tool_calls=None),
        entry_of(usage=None),
        entry_of(usage={"prompt_tokens": [1]}),
        entry_of(cost_usd="NaN"),
        entry_of(cost_usd="much"),
        entry_of(cost_usd=1.5),
    ],
    ids=range(25),
)
def test_an_entry_that_is_whole_and_makes_no_reply_is_a_miss(entry: Any) -> None:
    """Written by somebody who may write there: no error, no reply of another kind."""
    assert read(wrapped(entry_of())) is not None
    assert read(wrapped(entry)) is None


def test_another_version_is_a_miss() -> None:
    """There is no reading of what we did not write."""
    assert read(value_of().replace(b'{"v":1,', b'{"v":2,')) is None


def test_a_reply_that_is_too_large_is_neither_kept_nor_believed() -> None:
    """16 MiB, whatever the checksum says."""
    large = dataclasses.replace(REPLY, text="x" * MAX_BYTES)
    assert encoded(KEY, large, NOW) is None
    assert read(wrapped(entry_of(text=large.text))) is None


@pytest.mark.parametrize(
    ("after", "is_given"),
    [
        (timedelta(days=1), True),
        (timedelta(days=1, seconds=1), False),
        (timedelta(days=3650), False),
        (timedelta(minutes=-4), True),
        (timedelta(minutes=-6), False),
    ],
)
def test_a_reply_is_given_until_it_is_too_old(after: timedelta, is_given: bool) -> None:
    """By the time to live of now, not that of when it was put; one from the future is as good as too old."""
    assert (read(value_of(), after=after) is not None) is is_given


def test_no_key_of_ours_is_put() -> None:
    """A model that repeats a key it was told; as in the results database."""
    secret = "sk-cache-canary-0123456789abcdef"
    redaction.register(secret)
    value = value_of(dataclasses.replace(REPLY, text=f"your key is {secret}", reasoning=secret))
    assert secret.encode() not in value
    found = read(value)
    assert found is not None
    assert found.text == f"your key is {redaction.MARK}"
