"""The histories that stand in a run's own report: of what it measured, where at least three runs may be compared."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

from pytest_llmbench.profiles import PROFILES
from pytest_llmbench.records import Run, Summary
from pytest_llmbench.records.summary import USE_CASE
from pytest_llmbench.results.history import FEWEST, History, histories, with_changes
from pytest_llmbench.store import Store

MOST_RUNS = 50
_MOST_READ = 100
"""Runs that are looked at; some may be of other machines."""
_MOST_SUBJECTS = 8
"""Models and profiles, or use cases, that are followed; a report with more is no overview."""
_MOST_METRICS = 4
_OF_USE_CASE = ("pass_rate", "score", "cost_usd", "e2e_s")
_OF_ANY_PROFILE = ("ttft_s", "decode_tps", "prompt_tps", "peak_rss_bytes")


def trends(store: Store, run: Run, summaries: Sequence[Summary]) -> tuple[History, ...]:
    """The last runs that may be compared with this one, metric by metric, with their changes.

    Args:
        store: where the runs are; this one with its summaries among them.
        run: this one.
        summaries: its own.
    """
    return tuple(each for summary in summaries[:_MOST_SUBJECTS] for each in _of(summary, run, store))


def _of(summary: Summary, run: Run, store: Store) -> Iterator[History]:
    same = store.runs_like(summary, until=run.started_at, limit=_MOST_READ)
    if len(same) < FEWEST:
        return
    known = {figure.metric for figure in summary.figures}
    wanted = [metric for metric in _metrics(summary) if metric in known]
    if "pass_rate" in wanted and "score" in wanted:
        wanted.remove("score")
    for metric in wanted[:_MOST_METRICS]:
        for history in histories(same, metric):
            points = history.points[-MOST_RUNS:]
            is_told = len(points) >= FEWEST and any(point.value for point in points)  # what is always 0 tells nothing
            if is_told and run.id in {point.run_id for point in points}:
                yield with_changes(replace(history, points=points))


def _metrics(summary: Summary) -> Sequence[str]:
    if summary.kind == USE_CASE:
        return _OF_USE_CASE
    rated = PROFILES[summary.name].rated if summary.name in PROFILES else ()
    known = {figure.metric for figure in summary.figures}
    if summary.name in {"", "interactive"} or not known & set(rated):
        return _OF_ANY_PROFILE
    return tuple(rated)
