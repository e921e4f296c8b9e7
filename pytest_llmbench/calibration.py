"""How far off is our own client, here and now? It reads a stream whose timing is known, before it measures anything.

The scripted provider runs in a process of its own and logs when it had each request and when it handed each event to
the socket. The same client code that times models times this stream; what it says too much is its error on this
machine in its present state: the network stack, waking two processes up, the event loop and the stamps. It is an upper
bound, because the provider's own lateness in reading a request is in it.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

from pytest_llmbench import clock, http, launch
from pytest_llmbench.clients import ChatRequest, Endpoint, chat
from pytest_llmbench.errors import InfraError
from pytest_llmbench.records import Record, Reply, Series

_REQUESTS = 20
_WARM_UP = 2
_TOKENS = 16
_TTFT_S = 0.004
_ITL_S = 0.001
_LIMIT_S = 5.0
"""Whatever happens, it is over by then: a session is not held up by its error bars."""
_DEADLINES = http.Deadlines(connect_s=_LIMIT_S, ttft_s=_LIMIT_S, idle_s=_LIMIT_S, total_s=_LIMIT_S)


@dataclass(frozen=True, slots=True)
class Calibration(Record):
    """Our client against a stream of known timing; sizes of errors, whatever their sign."""

    n: int = 0
    """Streams that were read; 0: not calibrated."""
    ttft_error_p50_s: float | None = None
    ttft_error_p95_s: float | None = None
    ttft_error_max_s: float | None = None
    answer_error_p95_s: float | None = None
    """Of the time from the first to the last token. It does not grow with the answer: of a second it is that share of
    the time per output token."""
    tpot_error_p95_share: float | None = None
    """Of the true time per output token, in a stream of 16 tokens and 20 ms: far less in real answers."""
    itl_error_p95_s: float | None = None
    """Of single gaps between events."""
    at: str = ""
    """When; ISO 8601, UTC."""
    cost_s: float | None = None
    """What the calibration itself took."""
    reason: str = ""
    """Why there are no figures."""


@dataclass(frozen=True, slots=True)
class _Error:
    """One stream: what the client said less what is true."""

    ttft_s: float
    answer_s: float
    tpot_share: float
    gaps_s: tuple[float, ...]


def calibrate(requests: int = _REQUESTS) -> Calibration:
    """Read the stream of known timing `requests` times, one after the other; takes about half a second.

    It never raises because of the machine or the network: what cannot be calibrated says why in `reason`.

    Args:
        requests: how many streams count; two more go first and are thrown away.
    """
    at, started = clock.now().isoformat(), clock.monotonic()
    try:
        with _known_stream() as url:
            replies = [_read(url) for _ in range(_WARM_UP + requests)]
            log = _log(url)
        errors = [_error(reply, call) for reply, call in zip(replies, log, strict=True)][_WARM_UP:]
    except (OSError, InfraError, ValueError) as problem:
        return Calibration(at=at, cost_s=clock.monotonic() - started, reason=str(problem) or type(problem).__name__)
    ttft = _sizes([error.ttft_s for error in errors])
    return Calibration(
        n=len(errors),
        ttft_error_p50_s=ttft.p50,
        ttft_error_p95_s=ttft.p95,
        ttft_error_max_s=ttft.max,
        answer_error_p95_s=_sizes([error.answer_s for error in errors]).p95,
        tpot_error_p95_share=_sizes([error.tpot_share for error in errors]).p95,
        itl_error_p95_s=_sizes([gap for error in errors for gap in error.gaps_s]).p95,
        at=at,
        cost_s=clock.monotonic() - started,
    )


def error_bars(calibration: Calibration) -> str:
    """In words, to stand beside the client's figures."""
    ttft_s, answer_s = calibration.ttft_error_p95_s, calibration.answer_error_p95_s
    if ttft_s is None or answer_s is None:
        return f"client not calibrated: {calibration.reason or 'it was not tried'}"
    return (
        f"client error ±{ttft_s * 1000:.2g} ms on TTFT, ±{answer_s * 1000:.2g} ms between first and last token "
        f"(95 % of n = {calibration.n} streams)"
    )


@contextmanager
def _known_stream() -> Iterator[str]:
    """The scripted provider in a process of its own; yields its address. The process is gone afterwards.

    Raises:
        ChildProcessError: it did not start.
    """
    timing = ["--tokens", str(_TOKENS), "--ttft-s", str(_TTFT_S), "--itl-s", str(_ITL_S), "--for-s", str(_LIMIT_S)]
    program = [sys.executable, "-P", "-m", "pytest_llmbench.demo", *timing]
    launcher = [sys.executable, "-I", "-S", launch.__file__, str(os.getpid())]
    with subprocess.Popen(
        [*launcher, *program], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL, text=True
    ) as process:
        watchdog = threading.Timer(_LIMIT_S, process.kill)
        watchdog.start()
        try:
            assert process.stdout is not None
            url = process.stdout.readline().strip()
            if not url:
                raise ChildProcessError(f"the stream of known timing did not start (exit status {process.wait()})")
            yield url
        finally:
            watchdog.cancel()
            process.kill()


def _read(url: str) -> Reply:
    request = ChatRequest("calibration", ({"role": "user", "content": "a stream of known timing"},))
    endpoint = Endpoint(base_url=url, model_id="calibration", name="calibration")
    return http.run(chat(endpoint, request, _DEADLINES))


def _log(url: str) -> Sequence[Mapping[str, Any]]:
    log: Sequence[Mapping[str, Any]]
    log = json.loads(http.run(http.fetch(http.Request("GET", f"{url}/demo/log"), _DEADLINES)).body)
    return log


def _error(reply: Reply, call: Mapping[str, Any]) -> _Error:
    sent = [float(piece["at"]) for piece in call["sent"] if piece["kind"] == "content"]
    timing = reply.timing
    if timing.ttft_s is None or timing.last_token_s is None or len(timing.gaps_s) != len(sent) - 1:
        raise ValueError(f"the client saw {len(timing.gaps_s) + 1} tokens of {len(sent)} in the stream of known timing")
    answer_s = timing.last_token_s - timing.ttft_s - (sent[-1] - sent[0])
    return _Error(
        ttft_s=timing.ttft_s - (sent[0] - call["received_at"]),
        answer_s=answer_s,
        tpot_share=answer_s / (sent[-1] - sent[0]),
        gaps_s=tuple(
            seen - (later - earlier) for seen, (earlier, later) in zip(timing.gaps_s, pairwise(sent), strict=True)
        ),
    )


def _sizes(errors: Sequence[float]) -> Series:
    return Series("error", "", tuple(abs(error) for error in errors))
