"""A load in words and tables: what was served within the objective, and how the server bends under more. No I/O."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from pytest_llmbench.bench import Conclusion
from pytest_llmbench.profiles.load_levels import (
    ARRIVALS,
    LevelResult,
    hopeless,
    last_attempt,
    objective,
    read_level,
)
from pytest_llmbench.profiles.load_tables import tables
from pytest_llmbench.profiles.machine_readings import cpu_per_token
from pytest_llmbench.profiles.words import seconds
from pytest_llmbench.records import Measurement, Table
from pytest_llmbench.stats import knee

LATE_S = 0.05
LATE_SHARE = 0.1
"""Our own client sent late where it was by more than this at p95, and by more than this share of the median latency."""
OFF = 0.1
"""Prompts are not as long as a trace told where the median is off by more than this share."""


def conclude(measurement: Measurement, earlier: Sequence[Measurement]) -> Conclusion:  # noqa: ARG001 - every profile's
    """What each level came to, how many users are served within the objective, and where the curve bends."""
    settings = measurement.settings
    results = _results(measurement)
    if not results:
        return Conclusion("nothing was measured")
    bend = knee([r.offered_rps or r.level for r in results], [r.achieved_rps for r in results])
    parts = [_served(results, settings), _most(results), _bend(results, bend, settings), _stopped(results, settings)]
    notes = (*_not_run(results, settings), *_cut_short(results), *_client_notes(results), *_length_notes(results))
    return Conclusion(
        "; ".join(part for part in parts if part),
        _scalars(results, settings),
        (*tables(results, ARRIVALS[settings["arrival"]]), *_cpu_table(measurement, results)),
        (*notes, "figures over all requests mix the levels; the tables tell them apart") if results[1:] else notes,
    )


def _cpu_table(measurement: Measurement, results: Sequence[LevelResult]) -> Iterator[Table]:
    """CPU time per token, level by level: what others on the machine do hardly touches it, unlike wall time."""
    level = ARRIVALS[measurement.settings["arrival"]]
    rows = tuple((r.level, cpu_per_token(measurement, r.completed).get("cpu_s_per_token")) for r in results)
    if any(cost is not None for _, cost in rows):
        note = "prompt tokens and generated ones; of the server, by the samples of the system monitor"
        chart = {"kind": "line", "x": level, "y": ["CPU time"]}
        yield Table("load_cpu", "CPU time per token under load", (level, "CPU time"), ("", "s"), rows, chart, note)


def _results(measurement: Measurement) -> list[LevelResult]:
    """Of the levels that were run, the lightest first."""
    settings = measurement.settings
    found = [(level, last_attempt(measurement.counted, level)) for level in settings["levels"]]
    return [read_level(repetitions, level, settings) for level, repetitions in found if repetitions]


def _scalars(results: Sequence[LevelResult], settings: Mapping[str, Any]) -> dict[str, float]:
    found: dict[str, float | None] = {
        "goodput_rps": _highest(r.goodput_rps for r in results),
        "throughput_rps": _highest(r.achieved_rps for r in results),
        "throughput_tps": _highest(r.output_tps for r in results),
        "attainment": results[0].attainment,
    }
    if any(result.attainment is not None for result in results):
        served = _within(results, settings["target"])
        found["served_level"] = served[-1].level if served else 0.0
    return {name: value for name, value in found.items() if value is not None}


def _highest(values: Iterator[float | None]) -> float | None:
    return max((value for value in values if value is not None), default=None)


def _within(results: Sequence[LevelResult], target: float) -> list[LevelResult]:
    """The levels from the lightest on whose share of good requests reaches the target."""
    found = []
    for result in results:
        if result.attainment is None or result.attainment < target:
            break
        found.append(result)
    return found


def _served(results: Sequence[LevelResult], settings: Mapping[str, Any]) -> str:
    wanted = objective(settings)
    if wanted.asks_nothing:
        return "no objective was set"
    if all(result.attainment is None for result in results):
        return "whether the objective was met cannot be told: the server tells no token counts"
    served = _within(results, settings["target"])
    terms = [f"first token within {seconds(wanted.ttft_s)}"] if wanted.ttft_s is not None else []
    terms += [f"{seconds(wanted.tpot_s)} a token"] if wanted.tpot_s is not None else []
    at = served[-1] if served else results[0]
    verdict = f"served up to {_named(at.level, settings)}" if served else f"not even {_named(at.level, settings)}"
    heaviest = ", the heaviest tried," if served and at is results[-1] else ""
    return f"{verdict}{heaviest} within the objective ({', '.join(terms)}): {_share(at)}, {_rate(at.goodput_rps)} good"


def _share(result: LevelResult) -> str:
    interval = result.attainment_interval
    assert interval is not None, "asked only where the objective can be told"
    return f"{result.met} of {len(result.counted)} requests ({100 * interval.low:.0f}–{100 * interval.high:.0f} %)"


def _most(results: Sequence[LevelResult]) -> str:
    tokens = _highest(r.output_tps for r in results)
    requests = _highest(r.achieved_rps for r in results)
    return f"at most {_rate(requests)} completed" + (f", {tokens:.3g} tokens/s for all together" if tokens else "")


def _bend(results: Sequence[LevelResult], bend: int | None, settings: Mapping[str, Any]) -> str:
    if bend is None:
        return ""
    return f"throughput levels off at {_named(results[bend].level, settings)}"


def _stopped(results: Sequence[LevelResult], settings: Mapping[str, Any]) -> str:
    reason = hopeless(results[-1], results[-2] if results[1:] else None)
    return f"at {_named(results[-1].level, settings)} {reason}" if reason else ""


def _not_run(results: Sequence[LevelResult], settings: Mapping[str, Any]) -> list[str]:
    missing = [level for level in settings["levels"] if level > results[-1].level]
    if not missing:
        return []
    names = ", ".join(f"{level:g}" for level in missing)
    return [f"not run: {names} {ARRIVALS[settings['arrival']]}, because {_stopped(results, settings)}"]


def _named(level: float, settings: Mapping[str, Any]) -> str:
    words: Mapping[str, str] = {
        "closed": f"{level:g} user{'' if level == 1 else 's'} at once",
        "constant": _rate(level),
        "poisson": f"{_rate(level)} at random",
        "trace": f"the trace at {level:g}× its speed",
    }
    return words[settings["arrival"]]


def _rate(value: float | None) -> str:
    if value is None:
        return "an unknown number of requests/s"
    return "1 request/s" if f"{value:.3g}" == "1" else f"{value:.3g} requests/s"


def _cut_short(results: Sequence[LevelResult]) -> list[str]:
    return [
        f"level {r.level:g} was ended by its time: {len(r.all)} of {r.all[0].labels['of']} requests"
        for r in results
        if len(r.all) < int(r.all[0].labels["of"])
    ]


def _client_notes(results: Sequence[LevelResult]) -> list[str]:
    """Where our own client was late, and the figures are too high by that."""
    found = []
    for result in results:
        lag, took = result.series("send_lag_s"), result.series("request_s")
        if lag and took and lag.p95 > max(LATE_S, LATE_SHARE * took.p50):
            found.append(
                f"level {result.level:g}: our own client sent late, by up to {seconds(lag.p95)} (p95); "
                "latencies from the intended start hold that wait"
            )
    return found


def _length_notes(results: Sequence[LevelResult]) -> list[str]:
    """Whether prompts and answers of a trace have the lengths that it tells."""
    every = [r for result in results for r in result.completed]
    found = []
    for name, asked, read in (
        ("prompts", "asked_prompt_tokens", "prompt_tokens"),
        ("answers", "asked_output_tokens", "completion_tokens"),
    ):
        told = [(getattr(r.usage, read), r.labels[asked]) for r in every if asked in r.labels]
        ratios = [got / float(wanted) for got, wanted in told if got is not None]
        if ratios and abs(statistics.median(ratios) - 1) > OFF:
            found.append(f"the {name} had {statistics.median(ratios):.0%} of the trace's tokens (median)")
    return found
