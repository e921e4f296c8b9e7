"""Runs in a results database for those who look on: replies, failures, tests and lines of known figures."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import store_samples as samples
from sqlalchemy import update

from pytest_llmbench.observe.watching import Onlooker, Watched
from pytest_llmbench.records import Cost, FailedAttempt, LaneState, Reply, Timing, Usage
from pytest_llmbench.store import Store
from pytest_llmbench.store.tables import replies

NOW = datetime(2026, 5, 4, 12, 0, tzinfo=UTC)
MODEL = "lab/m"


_looking: list[Onlooker] = []


def looking(watched: Watched) -> Onlooker:
    """Somebody who looks on; lets go with the test, see `let_go`."""
    _looking.append(Onlooker(watched))
    return _looking[-1]


def let_go() -> None:
    """Close what tests have opened."""
    while _looking:
        _looking.pop().close()


def answer(
    n: int,
    *,
    model: str = MODEL,
    role: str = "subject",
    ttft_s: float | None = 0.25,
    cost: Cost | None = None,
    attempts: int = 1,
    usage: Usage | None = None,
) -> Reply:
    """A reply of three tokens after the first, one a second."""
    times = {} if ttft_s is None else {"ttft_s": ttft_s, "last_token_s": ttft_s + 0.3, "e2e_s": ttft_s + 0.5}
    return Reply(
        text=f"answer {n}",
        model=model,
        usage=usage or Usage(prompt_tokens=10, completion_tokens=4, cached_tokens=2, reasoning_tokens=1),
        timing=Timing(**times),
        cost=cost or Cost("0.001", "priced"),
        role=role,
        attempts=attempts,
        request_hash=f"h{n}",
    )


def failure(n: int = 1, *, category: str = "server", model: str = MODEL, ago_s: float = 0.0) -> FailedAttempt:
    """The `n`-th attempt at a question, so long ago."""
    at = (NOW - timedelta(seconds=ago_s)).isoformat()
    return FailedAttempt(model, "h", n, category, "it broke", "", at, cost=Cost("0", "refused"))


def lane(**told: Any) -> LaneState:
    """The line before the model."""
    usual = {"model": MODEL, "limit": 20, "in_flight": 3, "waiting": 7, "at": (NOW - timedelta(seconds=2)).isoformat()}
    return LaneState(**{**usual, **told})


def begin(store: Store, run_id: str = "run-1", started_at: datetime = NOW - timedelta(minutes=10)) -> None:
    """The header of a run."""
    store.ensure_run(samples.run(run_id, started_at.isoformat()))


def keep(store: Store, several: Sequence[Reply], run_id: str = "run-1", ago_s: float = 0.0) -> None:
    """Store replies, as if that was so long ago."""
    for n, reply in enumerate(several):
        kept = store.save_reply(run_id, f"{reply.request_hash}-{n}", 0, {}, reply)
        store.submit(_stamp, (int(kept.id), (NOW - timedelta(seconds=ago_s)).isoformat())).result()


def _stamp(connection: Any, several: Sequence[tuple[int, str]]) -> list[None]:
    for reply_id, at in several:
        connection.execute(update(replies).where(replies.c.id == reply_id).values(completed_at=at))
    return [None] * len(several)


def keep_failed(store: Store, several: Sequence[FailedAttempt], run_id: str = "run-1") -> None:
    """Store failed attempts."""
    for attempt in several:
        store.save_failed_attempt(run_id, "t", attempt)


def database(folder: Path) -> Path:
    """Where `llmbench metrics` looks."""
    return folder / ".llmbench" / "results.db"
