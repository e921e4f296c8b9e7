"""The flags of `llmbench demo-server`: names, help, details. Plain data, so that `llmbench --help` stays instant."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def _number(metavar: str = "S") -> Mapping[str, Any]:
    return {"metavar": metavar, "type": float}


def _count(metavar: str = "N") -> Mapping[str, Any]:
    return {"metavar": metavar, "type": int}


SERVING: tuple[tuple[tuple[str, ...], str, Mapping[str, Any]], ...] = (
    (("--host",), "the address to listen at (default: 127.0.0.1)", {"metavar": "HOST", "default": "127.0.0.1"}),
    (("--port",), "the port; 0 lets the system choose (default: 8099)", {**_count("PORT"), "default": 8099}),
    (("--rpm",), "requests a minute that callers are held to; over it they get a 429", _number("N")),
    (("--tpm",), "tokens a minute that callers are held to", _number("N")),
    (("--concurrency",), "requests at once that callers are held to", _count()),
    (
        ("--burst-s",),
        "how many seconds' worth of the limits may come at once (default: 60)",
        {**_number(), "default": 60.0},
    ),
    (
        ("--log-size",),
        "how many calls /demo/log keeps at least (default: 10000)",
        {**_count(), "default": 10_000},
    ),
    (("--batch-s",), "how long a batch takes until it is ready (default: 0)", {**_number(), "default": 0.0}),
    (("--for-s",), "end after so many seconds", _number()),
)
TRAITS: tuple[tuple[tuple[str, ...], str, Mapping[str, Any]], ...] = (
    (("--latency-s",), "seconds to the first token", _number()),
    (("--jitter-s",), "up to so many seconds more, drawn by the request's text", _number()),
    (("--itl-s",), "seconds between tokens", _number()),
    (("--tokens",), "tokens of the answers of echo and long", _count()),
    (("--accuracy",), "share of the questions that are answered rightly, from 0 to 1", _number("SHARE")),
    (("--fault",), "what goes wrong: rate-limit, server-error, stall, ...", {"metavar": "FAULT"}),
    (("--share",), "share of the attempts at which it goes wrong, from 0 to 1", _number("SHARE")),
    (("--times",), "only the first so many attempts at a question go wrong", _count()),
    (("--retry-after-s",), "what Retry-After tells where the fault has it", _number()),
    (("--delay-s",), "how late slow headers are (default: 30)", _number()),
    (("--size-mb",), "how large huge bodies are, in MB (default: 100)", _count("MB")),
)
