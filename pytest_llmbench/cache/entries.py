"""A reply as it lies in a cache, and how it is read back: what is not whole, not its key's, or too old is no reply.

    {"v":1,"sha256":"<64 hexadecimal digits>","entry":{"key":"…","at":"…","reply":{…}}}

The hash is that of the bytes of `entry`, which begin at one place in every value: whatever bit has changed is found
before anything is parsed. It guards against accidents, not against somebody who may write into the place.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
import re
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

from pytest_llmbench.records import Cost, MalformedRecordError, Reply, Timing
from pytest_llmbench.redaction import redact_values

MAX_BYTES = 16 * 2**20
"""No reply is larger that is kept, or believed."""

_HEAD = b'{"v":1,"sha256":"'
_MIDDLE = b'","entry":'
_ENTRY_AT = len(_HEAD) + 64 + len(_MIDDLE)
_TEXTS = ("text", "model", "served_model", "reasoning", "finish_reason")
_KEPT = (*_TEXTS, "tool_calls", "streamed", "usage")
"""Not its times: those are of the call that was made, and no call is made for a cached reply."""
HEAD_BYTES = 256
"""Of a value: as much as `put_at` reads."""
_PUT_AT = re.compile(rb'"at":"([^"]{19,40})"')
_COMPLETE = frozenset({"stop", "length", "tool_calls"})
_CLOCKS_DIFFER = timedelta(minutes=5)
"""By how much the clocks of two machines that share a cache may differ."""


def may_be_kept(reply: Reply) -> bool:
    """Whether a reply may be given again: it ended as the model or its limit of tokens wanted, and says something.

    Not what a filter stopped, nor where the server did not say how it ended.
    """
    return reply.finish_reason in _COMPLETE and bool(reply.text.strip() or reply.tool_calls)


def encoded(key: str, reply: Reply, at: datetime) -> bytes | None:
    """What is put for a reply.

    Args:
        key: its key.
        reply: with what it cost.
        at: when it was received.

    Returns:
        None where it may not be kept, or is too large.
    """
    if not may_be_kept(reply):
        return None
    whole = reply.as_dict()
    told = {**{name: whole[name] for name in _KEPT}, "cost_usd": reply.cost.usd}
    body = _dumped({"key": key, "at": at.isoformat(), "reply": redact_values(told)})
    value = _wrapped(body)
    return value if len(value) <= MAX_BYTES else None


def decoded(key: str, value: bytes, *, ttl_s: float, now: datetime) -> Reply | None:
    """The reply of a value, as it is given again.

    Args:
        key: what it was found by.
        value: what was found.
        ttl_s: how old it may be.
        now: the time, aware.

    Returns:
        None for anything that is not a whole entry of this key, or is too old.
    """
    body = value[_ENTRY_AT:-1]
    if len(value) > MAX_BYTES or value != _wrapped(body):
        return None
    try:
        entry = json.loads(body)
        at = datetime.fromisoformat(entry["at"])
        if entry["key"] != key or not -_CLOCKS_DIFFER <= now - at <= timedelta(seconds=ttl_s):
            return None
        told = entry["reply"]
        reply = Reply.from_dict({name: told[name] for name in _KEPT})
        reply = given_again(dataclasses.replace(reply, cost=Cost(told["cost_usd"])), at)
        return reply if _is_sane(reply) and may_be_kept(reply) else None
    except (ValueError, KeyError, TypeError, AttributeError, ArithmeticError, RecursionError, MalformedRecordError):
        return None


def put_at(head: bytes) -> datetime | None:
    """When the reply of a value was received, as its first `HEAD_BYTES` say; None where they do not.

    For tidying up only: nothing of it is checked.
    """
    found = _PUT_AT.search(head[_ENTRY_AT:HEAD_BYTES])
    try:
        at = datetime.fromisoformat(found[1].decode()) if found else None
    except ValueError:
        return None
    return at if at is not None and at.tzinfo is not None else None


def given_again(reply: Reply, at: datetime) -> Reply:
    """A reply as others get it who ask the same: nothing was asked or spent for them, and nothing timed.

    Args:
        reply: as it was received, with what it cost.
        at: when that was.
    """
    cost = Cost(reply.cost.usd, "cached", at.isoformat())
    return dataclasses.replace(reply, timing=Timing(), cost=cost, attempts=0, events=(), id="")


def _is_sane(reply: Reply) -> bool:
    """Whether its fields are of their kinds: whoever may write into the place may write anything."""
    texts = [reply.cost.usd, *(getattr(reply, name) for name in _TEXTS)]
    texts += [part for call in reply.tool_calls for part in (call.id, call.name, call.arguments)]
    counts = reply.usage.as_dict().values()
    is_amount = not reply.cost.usd or Decimal(reply.cost.usd).is_finite()
    return is_amount and all(isinstance(text, str) for text in texts) and all(map(_is_plain, counts))


def _is_plain(value: Any) -> bool:
    return value is None or isinstance(value, bool | int | float | str)


def _dumped(entry: Any) -> bytes:
    return json.dumps(entry, separators=(",", ":"), allow_nan=False).encode()


def _wrapped(body: bytes) -> bytes:
    return b"".join((_HEAD, hashlib.sha256(body).hexdigest().encode(), _MIDDLE, body, b"}"))
