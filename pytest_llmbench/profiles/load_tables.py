"""The tables and charts of a load: one row a level. No I/O."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence

from pytest_llmbench.profiles.load_levels import LevelResult, told_errors
from pytest_llmbench.records import Series, Table

Column = Callable[[LevelResult], float | None]

_LATENCIES: Mapping[str, Column] = {
    "first token p50": lambda r: _at(r.series("first_token_s"), 50),
    "first token p95": lambda r: _at(r.series("first_token_s"), 95),
    "request p50": lambda r: _at(r.series("request_s"), 50),
    "request p95": lambda r: _at(r.series("request_s"), 95),
    "sent late p95": lambda r: _at(r.series("send_lag_s"), 95),
}
_SPEEDS: Mapping[str, Column] = {
    "p50": lambda r: _at(r.series("tpot_s"), 50),
    "p95": lambda r: _at(r.series("tpot_s"), 95),
}
_TOKENS: Mapping[str, Column] = {"output tokens": lambda r: r.output_tps}


def tables(results: Sequence[LevelResult], level: str) -> Iterator[Table]:
    """Every table of a load.

    Args:
        results: the lightest level first.
        level: what the levels count.
    """
    yield _rates(results, level)
    latency = Table("load_latency", "Waiting under load", (level,), ("",), (), note=_INTENDED)
    yield _filled(latency, results, _LATENCIES, "s", drawn=2)
    yield _filled(Table("load_tpot", "Time per output token under load", (level,), ("",), ()), results, _SPEEDS, "s")
    if any(result.output_tps is not None for result in results):
        tokens = Table("load_tokens", "Tokens for all users together", (level,), ("",), ())
        yield _filled(tokens, results, _TOKENS, "tok/s")
    if any(result.attainment is not None for result in results):
        yield _attainment(results, level)
    if any(result.errors for result in results):
        yield _errors(results, level)


_INTENDED = (
    "In an open loop times count from the intended start; `sent late` is the part of them for which our own client is "
    "to blame. The ramp is left out. A p95 of fewer than 20 requests is the slowest of them."
)


def _filled(
    head: Table, results: Sequence[LevelResult], columns: Mapping[str, Column], unit: str, *, drawn: int | None = None
) -> Table:
    """The table with a row a level.

    Args:
        head: with the level's column alone.
        results: the rows.
        columns: name → how it is read.
        unit: of all of them.
        drawn: how many of the columns are in the chart; None: all.
    """
    return Table(
        head.name,
        head.title,
        (*head.columns, *columns),
        (*head.units, *(unit for _ in columns)),
        tuple((result.level, *(read(result) for read in columns.values())) for result in results),
        {"kind": "line", "x": head.columns[0], "y": list(columns)[:drawn]},
        head.note,
    )


def _rates(results: Sequence[LevelResult], level: str) -> Table:
    offered = any(result.offered_rps is not None for result in results)
    rates: dict[str, Column] = {"offered": lambda r: r.offered_rps} if offered else {}
    rates |= {"completed": lambda r: r.achieved_rps, "goodput": lambda r: r.goodput_rps}
    return Table(
        "load_levels",
        "Throughput under load",
        (level, *rates, "requests", "failed", "in the ramp"),
        ("", *("1/s" for _ in rates), "", "", ""),
        tuple(
            (r.level, *(rate(r) for rate in rates.values()), len(r.all), r.errors.total(), len(r.all) - len(r.counted))
            for r in results
        ),
        {"kind": "line", "x": level, "y": list(rates)},
        "Rates are over the level's whole time, from the first intended start to the last answer. "
        "Shares and latencies leave the ramp out.",
    )


def _attainment(results: Sequence[LevelResult], level: str) -> Table:
    rows = []
    for result in results:
        interval = result.attainment_interval
        ends = (interval.low, interval.high) if interval else (None, None)
        rows.append((result.level, result.attainment, *ends, result.met, len(result.counted)))
    return Table(
        "load_attainment",
        "Requests that met the objective",
        (level, "met", "at least", "at most", "requests that met it", "requests"),
        ("", "share", "share", "share", "", ""),
        tuple(rows),
        {"kind": "line", "x": level, "y": ["met", "at least", "at most"]},
        "95 % interval (Wilson). It takes requests for independent; neighbours in a queue share their fate, so the "
        "true one is wider. A failed request has not met the objective.",
    )


def _errors(results: Sequence[LevelResult], level: str) -> Table:
    every: Counter[str] = Counter()
    for result in results:
        every += result.errors
    return Table(
        "load_errors",
        f"Failed requests: {told_errors(every)}",
        (level, *every),
        ("", *("" for _ in every)),
        tuple((result.level, *(result.errors[category] for category in every)) for result in results),
    )


def _at(series: Series, percent: float) -> float | None:
    return series.percentile(percent) if series else None
