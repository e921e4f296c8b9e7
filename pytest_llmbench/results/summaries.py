"""A run in a few numbers: what histories and trend charts are made of, kept when the run ends."""

from __future__ import annotations

import hashlib
import json
import math
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import Any

from pytest_llmbench.metrics import METRICS
from pytest_llmbench.records import Figure, Measurement, Run, Series, Summary
from pytest_llmbench.records.summary import PROFILE, USE_CASE
from pytest_llmbench.results.asked_samples import Asked, by_case
from pytest_llmbench.results.calls import Spread
from pytest_llmbench.results.use_cases import CaseRow, CaseTable, tables
from pytest_llmbench.stats import Estimate, median_estimate

_LONGEST = 60
"""Characters of a setting that is told as it is."""
_OF_CALLS = ("ttft_s", "e2e_s", "decode_tps")


def summaries(run: Run, cases: Sequence[CaseTable] | None = None) -> list[Summary]:
    """How each model did, under each profile and on each use case.

    Args:
        run: read back whole, without outdated measurements (`Run.current`).
        cases: its tables of use cases, where they were made already.

    Returns:
        None of a run that judged another run's replies anew: it is no new observation of a model.
    """
    return [] if run.settings.get("rejudge") else summed(run, cases)


def summed(run: Run, cases: Sequence[CaseTable] | None = None) -> list[Summary]:
    """As `summaries`, of any run."""
    cases = tables(run) if cases is None else cases
    return [*_measured(run.measurements), *_asked(run, cases)]


def way_of(measurement: Measurement) -> str:
    """The hash of how it was measured: equal where two may be compared."""
    return key_of(dict(_words(measurement.settings)))


def key_of(settings: Mapping[str, str]) -> str:
    """The hash by which settings are told apart."""
    return hashlib.sha256(json.dumps(dict(settings), sort_keys=True).encode()).hexdigest()[:12]


def _measured(measurements: Iterable[Measurement]) -> Iterator[Summary]:
    """One of each model, profile and way to measure, the values of several such measurements together."""
    alike: dict[tuple[str, str, str], list[tuple[Measurement, dict[str, str]]]] = {}
    for measurement in measurements:
        settings = dict(_words(measurement.settings))
        place = (measurement.profile, measurement.model, key_of(settings))
        alike.setdefault(place, []).append((measurement, settings))
    for (profile, model, key), same in alike.items():
        figures = tuple(_figures_of([measurement for measurement, _ in same]))
        yield Summary(PROFILE, profile, model, key=key, settings=same[0][1], figures=figures)


def _figures_of(measurements: Sequence[Measurement]) -> Iterator[Figure]:
    names = dict.fromkeys([*METRICS, *(name for each in measurements for name in each.units)])
    for name in names:
        series = [each.series(name) for each in measurements]
        values = tuple(value for each in series for value in each if math.isfinite(value))
        if not values:
            continue
        if all(name in each.scalars for each in measurements):
            middle = Series(name, "", values).p50
            yield Figure(name, "value", middle, None, None, len(values))
        else:
            yield from _spread(name, values)


def _spread(name: str, values: tuple[float, ...]) -> Iterator[Figure]:
    if (median := median_estimate(values)) is not None:
        yield _figure(name, "p50", median)
    yield Figure(name, "p95", Series(name, "", values).p95, None, None, len(values))


def _figure(name: str, statistic: str, estimate: Estimate) -> Figure:
    return Figure(name, statistic, estimate.value, estimate.low, estimate.high, estimate.n)


def _asked(run: Run, cases: Sequence[CaseTable]) -> Iterator[Summary]:
    asked = by_case(run.results)
    for table, samples in zip(cases, asked, strict=True):
        for row in table.rows:
            settings = _way_of_asking(row, samples) | ({"replies": "replayed"} if run.settings.get("replay") else {})
            yield Summary(
                USE_CASE,
                table.name,
                row.model,
                prompt=row.prompt,
                key=key_of(settings),
                settings=settings,
                version=row.prompt_version[:_SHORT],
                figures=tuple(_case_figures(row)),
            )


def _way_of_asking(row: CaseRow, samples: Sequence[Asked]) -> dict[str, str]:
    """What has to be the same for two rates to be compared: the samples, and how often each was asked."""
    mine = [each for each in samples if (each.model, each.found.prompt) == (row.model, row.prompt)]
    ids = sorted({f"{each.found.sample}\0{each.found.content}\0{each.found.corruption}" for each in mine})
    reducers = sorted({each.found.reducer for each in mine})
    return {
        "samples": f"{len(ids)} ({_hash(ids)})",
        "trials": str(row.trials),
        "reducer": ", ".join(reducers) if row.trials > 1 else "",
    }


def _case_figures(row: CaseRow) -> Iterator[Figure]:
    means = {
        "pass_rate": row.pass_rate,
        "score": row.score,
        "robustness": row.robustness,
        "cost_usd": row.calls.cost_per_sample_usd,
    }
    yield from (_figure(name, "mean", estimate) for name, estimate in means.items() if estimate is not None)
    spent = row.calls.costs.total
    if spent.calls and not spent.unknown:
        yield Figure("total_cost_usd", "value", float(spent.usd), None, None, spent.calls)
    for name in _OF_CALLS:
        spread: Spread | None = getattr(row.calls, name)
        if spread is not None:
            yield _figure(name, "p50", spread.p50)
            yield Figure(name, "p95", spread.p95, None, None, spread.p50.n)


_SHORT = 12


def _words(settings: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    """Settings as name and text, those of the subject among them; what is long by its hash."""
    for name, value in settings.items():
        if isinstance(value, Mapping):
            yield from _words(value)
            continue
        text = value if isinstance(value, str) else json.dumps(value, sort_keys=True, default=str)
        yield name, text if len(text) <= _LONGEST else f"#{_hash(text)}"


def _hash(value: object) -> str:
    text = value if isinstance(value, str) else json.dumps(value)
    return hashlib.sha256(text.encode()).hexdigest()[:_SHORT]
