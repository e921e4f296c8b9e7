"""Summaries of runs built by hand, and a database that holds them."""

from __future__ import annotations

import dataclasses
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import report_runs

from pytest_llmbench.records import Figure, Host, PastRun, Run, Summary
from pytest_llmbench.store import Store

MODEL = "smollm2-135m:Q4_1"
_FIRST = datetime(2026, 11, 1, 4, 15, tzinfo=UTC)


def a_summary(values: Mapping[str, float], **changed: Any) -> Summary:
    """Of an interactive measurement; each metric's interval is 5 % to both sides."""
    middle = {name: "mean" if name in {"pass_rate", "cost_usd"} else "p50" for name in values}
    figures = [Figure(name, middle[name], value, value * 0.95, value * 1.05, 20) for name, value in values.items()]
    figures += [Figure(name, "p95", values[name] * 2, None, None, 20) for name in values if middle[name] == "p50"]
    whole = Summary("profile", "interactive", MODEL, key="k1", settings={"threads": "1"}, figures=tuple(figures))
    return dataclasses.replace(whole, **changed)


def past(summaries: Sequence[Summary], host: Host = report_runs.HOST, start: int = 0) -> list[PastRun]:
    """A run a day, each with one summary, at commits `0000...` on."""
    return [
        PastRun(f"run-{number:03}", when(number), host, {"git_revision": f"{number:040x}"}, summary)
        for number, summary in enumerate(summaries, start=start)
    ]


def when(number: int) -> str:
    """When the run of that number started."""
    return (_FIRST + timedelta(days=number)).isoformat()


def a_header(number: int, revision: str = "", host: Host = report_runs.HOST) -> Run:
    """A run without rows."""
    return Run(
        id=f"run-{number:03}",
        started_at=when(number),
        finished_at=None,
        exit_code=None,
        host=host,
        environment={"git_revision": revision or f"{number:040x}", "git_dirty": False, "branch": "main"},
        settings={},
    )


def stored(store: Store, run: Run, summaries: Sequence[Summary]) -> None:
    """Keep a finished run and its summaries."""
    store.ensure_run(run)
    store.finish_run(run.id, 0)
    store.save_summaries(run.id, summaries)
