"""Speed as pytest-benchmark's JSON, for `pytest-benchmark compare`, github-action-benchmark and whatever else reads it.

Their values are seconds, and less is better: each metric that is a time is a benchmark, with its raw values.
"""

from __future__ import annotations

import json
import math
import statistics
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_llmbench import __version__
from pytest_llmbench.metrics import METRICS, call_metrics
from pytest_llmbench.records import Host, Run
from pytest_llmbench.results.summaries import way_of

_OF_CALLS = ("ttft_s", "e2e_s")
"""Metrics of the replies of use cases."""


@dataclass(frozen=True, slots=True)
class _Timed:
    metric: str
    model: str
    where: str
    """The profile, or the use case."""
    way: str
    """Tells measurements of one model and profile apart, where there are several."""
    seconds: tuple[float, ...]


def render(run: Run) -> str:
    """The JSON, ASCII only; a run without times has no benchmarks in it."""
    whole = {
        "machine_info": _machine(run.host),
        "commit_info": _commit(run.environment),
        "benchmarks": [_benchmark(timed, run.id) for timed in _distinct([*_measured(run), *_asked(run)])],
        "datetime": run.finished_at or run.started_at,
        "version": f"pytest-llmbench {__version__}",
    }
    return json.dumps(whole, indent=1, allow_nan=False) + "\n"


def _measured(run: Run) -> Iterator[_Timed]:
    for measurement in run.measurements:
        way = way_of(measurement)
        for name, unit in measurement.units.items():
            seconds = _times(measurement.series(name))
            if unit == "s" and seconds and name not in measurement.scalars:
                yield _Timed(name, measurement.model, measurement.profile, way, seconds)


def _asked(run: Run) -> Iterator[_Timed]:
    """The times of the models under test on use cases."""
    replies = {reply.id: reply for reply in run.replies if reply.role == "subject"}
    found: dict[tuple[str, str, str], list[float]] = {}
    for result in run.results:
        if result.evaluation is None or result.evaluation.corruption:
            continue
        for reply in (replies[each] for each in result.reply_ids if each in replies):
            measured = call_metrics(reply.timing, reply.usage)
            for name in _OF_CALLS if reply.streamed else ("e2e_s",):
                if name in measured:
                    place = (name, result.model, result.evaluation.use_case)
                    found.setdefault(place, []).append(measured[name])
    for (name, model, use_case), values in found.items():
        if seconds := _times(values):
            yield _Timed(name, model, use_case, "", seconds)


def _times(values: Iterable[float]) -> tuple[float, ...]:
    return tuple(value for value in values if math.isfinite(value) and value >= 0)


def _distinct(several: Sequence[_Timed]) -> Iterator[_Timed]:
    """One of each name: values that were measured in the same way together, else the name tells the way."""
    together: dict[tuple[str, str, str, str], tuple[float, ...]] = {}
    for each in several:
        place = (each.metric, each.model, each.where, each.way)
        together[place] = together.get(place, ()) + each.seconds
    ways = Counter(place[:3] for place in together)
    for (metric, model, where, way), seconds in together.items():
        yield _Timed(metric, model, where, way if ways[metric, model, where] > 1 else "", seconds)


def _benchmark(timed: _Timed, run_id: str) -> dict[str, Any]:
    name = f"{timed.metric}[{'-'.join(filter(None, (timed.model, timed.way)))}]"
    metric = METRICS.get(timed.metric)
    return {
        "group": f"{timed.where} {timed.metric}",
        "name": name,
        "fullname": f"{timed.where}::{name}",
        "params": {"model": timed.model},
        "param": timed.model,
        "extra_info": {
            "model": timed.model,
            "measured_by": timed.where,
            "metric": timed.metric,
            "definition": metric.definition if metric else "",
            "run": run_id,
        },
        "options": {"timer": "perf_counter", "disable_gc": True, "min_rounds": len(timed.seconds), "warmup": False},
        "stats": _statistics(timed.seconds),
    }


def _statistics(values: Sequence[float]) -> dict[str, Any]:
    """As pytest-benchmark names and defines them; `ops` is how many would fit in a second."""
    ordered, mean, total = sorted(values), statistics.fmean(values), math.fsum(values)
    stddev = statistics.stdev(values) if len(values) > 1 else 0.0
    quartiles = statistics.quantiles(values, n=4, method="inclusive") if len(values) > 1 else ordered * 3
    q1, median, q3 = quartiles
    low, high = q1 - 1.5 * (q3 - q1), q3 + 1.5 * (q3 - q1)
    inside = [value for value in ordered if low <= value <= high]
    far = sum(not mean - stddev <= value <= mean + stddev for value in values)
    return {
        "min": ordered[0],
        "max": ordered[-1],
        "mean": mean,
        "stddev": stddev,
        "rounds": len(values),
        "median": median,
        "iqr": q3 - q1,
        "q1": q1,
        "q3": q3,
        "iqr_outliers": len(values) - len(inside),
        "stddev_outliers": far,
        "outliers": f"{far};{len(values) - len(inside)}",
        "ld15iqr": inside[0],
        "hd15iqr": inside[-1],
        "ops": len(values) / total if total else 0.0,
        "total": total,
        "data": list(values),
        "iterations": 1,
    }


def _machine(host: Host) -> dict[str, Any]:
    """No name of the machine: it says nothing of its speed, and much of its owner."""
    implementation, _, version = host.python.partition(" ")
    system, _, release = host.os.partition(" ")
    return {
        "node": "",
        "processor": host.cpu_model,
        "machine": host.architecture,
        "python_compiler": "",
        "python_implementation": implementation,
        "python_implementation_version": version,
        "python_version": version,
        "python_build": [],
        "release": release,
        "system": system,
        "cpu": {"brand_raw": host.cpu_model, "arch": host.architecture, "count": host.logical_cores},
    }


def _commit(environment: Mapping[str, Any]) -> dict[str, Any]:
    return {
        "id": str(environment.get("git_revision") or "unversioned"),
        "time": None,
        "author_time": None,
        "dirty": bool(environment.get("git_dirty")),
        "project": "",
        "branch": str(environment.get("branch") or "(unknown)"),
    }
