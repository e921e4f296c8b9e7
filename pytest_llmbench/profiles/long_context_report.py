"""What the requests of long contexts say: tables by size, by memory and by depth, and a sentence."""

from __future__ import annotations

import statistics
from collections.abc import Iterator, Mapping, Sequence

from pytest_llmbench.bench import Conclusion
from pytest_llmbench.metrics import METRICS
from pytest_llmbench.profiles.words import figure, seconds
from pytest_llmbench.records import Measurement, MonitorSample, Repetition, Table
from pytest_llmbench.stats import percentile_interval, wilson
from pytest_llmbench.stats.intervals import finite

ESTIMATED = (
    "the server cannot count tokens for us: the sizes are estimates, corrected by what it told of earlier prompts"
)
SWAPPED_BYTES = 16 << 20
"""Less than this may come and go on any machine within minutes."""
_OTHERWISE = "prompt tokens / time to first token, where the server tells no timings"

Cell = float | str | None
Sizes = Mapping[int, Sequence[Repetition]]
"""Context in tokens → its counted requests; the smallest first."""


def conclude(measurement: Measurement, earlier: Sequence[Measurement]) -> Conclusion:  # noqa: ARG001 - every profile's
    """How long contexts take to read, what they cost in memory, and whether what they say is found again."""
    sizes = _by_size(measurement)
    if not sizes:
        return Conclusion("no context was read: none of the sizes asked for fits")
    largest = max(sizes)
    scalars = {"largest_context": float(largest)}
    if (load_s := _median(sizes[largest], "ttft_s")) is not None:
        scalars["context_load_s"] = load_s
    tables = (_reading(sizes), _memory(sizes, measurement.samples), _recall(sizes))
    notes = (*_swap_notes(sizes, measurement.samples), *_left_notes(sizes, measurement))
    return Conclusion(_sentence(sizes), scalars, tuple(table for table in tables if table.rows), notes)


def told_tokens(repetition: Repetition) -> int | None:
    """Prompt tokens that the server says it processed or was given; None where it does not tell."""
    processed = repetition.timing.server.get("prompt_n")
    return int(processed) if processed else repetition.usage.prompt_tokens


def prompt_speed(repetition: Repetition) -> float | None:
    """Tokens per second by the server's prompt time, else by the time to the first token."""
    if "prompt_tps" in repetition.metrics:
        return repetition.metrics["prompt_tps"]
    tokens, ttft_s = told_tokens(repetition), repetition.metrics.get("ttft_s")
    return tokens / ttft_s if tokens and ttft_s else None


def _by_size(measurement: Measurement) -> Sizes:
    found: dict[int, list[Repetition]] = {}
    for repetition in measurement.counted:
        if isinstance(size := repetition.labels.get("context_tokens"), int):
            found.setdefault(size, []).append(repetition)
    return dict(sorted(found.items()))


def _reading(sizes: Sizes) -> Table:
    """Speed and waiting time against context."""
    rows = tuple(_reading_row(size, repetitions) for size, repetitions in sizes.items())
    from_ttft = any("prompt_tps" not in r.metrics for repetitions in sizes.values() for r in repetitions)
    note = "Medians; the 95 % interval is the prompt speed's. " + (f"Prompt speed: {_OTHERWISE}." if from_ttft else "")
    return Table(
        "long_context_reading",
        "Reading a long prompt",
        ("context", "prompt", "requests", "prompt speed", "from", "to", "time to first token", "slowest",
         "answer speed", "CPU time per token", "in words"),
        ("tokens", "tokens", "", "tok/s", "tok/s", "tok/s", "s", "s", "tok/s", "s", ""),
        rows,
        {"kind": "line", "x": "context", "y": ["prompt speed", "time to first token"]},
        note.strip(),
    )  # fmt: skip


def _reading_row(size: int, repetitions: Sequence[Repetition]) -> tuple[Cell, ...]:
    speeds = finite(map(prompt_speed, repetitions))
    interval = percentile_interval(speeds, 50)
    bounds = finite([interval.low]), finite([interval.high])
    ttft_s = _median(repetitions, "ttft_s")
    return (
        size,
        _median_of(finite(map(told_tokens, repetitions))) or _label(repetitions, "prompt_tokens"),
        len(repetitions),
        _median_of(speeds),
        *(bound[0] if bound else None for bound in bounds),
        ttft_s,
        max(_values(repetitions, "ttft_s"), default=None),
        _median(repetitions, "decode_tps"),
        _median(repetitions, "cpu_s_per_token"),
        METRICS["context_load_s"].word(ttft_s) if ttft_s is not None else None,
    )


def _memory(sizes: Sizes, samples: Sequence[MonitorSample]) -> Table:
    """Memory against context, measured and expected."""
    first = next(iter(sizes.values()))
    rows = tuple(_memory_row(size, repetitions, first, samples) for size, repetitions in sizes.items())
    return Table(
        "long_context_memory",
        "Memory of a long context",
        ("context", "memory", "expected", "KV cache expected", "grown", "growth expected", "swapped out", "swapped in"),
        ("tokens", "B", "B", "B", "B", "B", "B", "B"),
        tuple(row for row in rows if any(cell is not None for cell in row[1:])),
        {"kind": "line", "x": "context", "y": ["memory", "expected", "KV cache expected"]},
        "Memory is the most that the server's processes held after a request of that size; grown: since the smallest "
        "size. Swapping is the whole machine's.",
    )


def _memory_row(
    size: int, repetitions: Sequence[Repetition], first: Sequence[Repetition], samples: Sequence[MonitorSample]
) -> tuple[Cell, ...]:
    rss, expected = _most(repetitions), _label(repetitions, "memory_estimate_bytes")
    swapped = _swapped(repetitions, samples)
    return (
        size,
        rss,
        expected,
        _label(repetitions, "kv_estimate_bytes"),
        _less(rss, _most(first)),
        _less(expected, _label(first, "memory_estimate_bytes")),
        swapped.get("swap_out_bytes"),
        swapped.get("swap_in_bytes"),
    )


def _recall(sizes: Sizes) -> Table:
    """Share of facts told back: a row a depth, a column a size."""
    depths = sorted({depth for rs in sizes.values() for r in rs if isinstance(depth := r.labels["depth"], float)})
    columns = [f"{size} tokens" for size in sizes]
    rows = tuple(
        (depth, *(_told_back([r for r in rs if r.labels["depth"] == depth]) for rs in sizes.values()))
        for depth in depths
    )
    return Table(
        "long_context_recall",
        "Facts told back, by depth and context",
        ("depth", *columns),
        ("share", *("share" for _ in columns)),
        rows,
        {"kind": "line", "x": "depth", "y": columns},
        f"Depth 0 is the beginning of the text, 1 its end. {_per_cell(sizes)}",
    )


def _told_back(repetitions: Sequence[Repetition]) -> float | None:
    found = _values(repetitions, "recall")
    return statistics.fmean(found) if found else None


def _per_cell(sizes: Sizes) -> str:
    counts = {
        sum(1 for r in rs if r.labels["depth"] == depth)
        for rs in sizes.values()
        for depth in {r.labels["depth"] for r in rs}
    }
    few, most = min(counts), max(counts)
    times = f"{few}" if few == most else f"{few} to {most}"
    return f"Each cell was asked {times} {'time' if most == 1 else 'times'}."


def _sentence(sizes: Sizes) -> str:
    """The largest context first: it is what was asked about."""
    parts = [_read_words(size, sizes[size]) for size in dict.fromkeys((max(sizes), min(sizes)))]
    largest = METRICS["largest_context"].word(max(sizes))
    said = [
        f"the largest context that was tried and works holds {max(sizes)} tokens, enough for {largest}",
        *filter(None, parts),
    ]
    recalls = _values([r for rs in sizes.values() for r in rs], "recall")
    if recalls:
        said.append(_recall_words(recalls))
    return "; ".join(said)


def _read_words(size: int, repetitions: Sequence[Repetition]) -> str:
    ttft_s, speed = _median(repetitions, "ttft_s"), _median_of(finite(map(prompt_speed, repetitions)))
    if ttft_s is None:
        return ""
    rate = f" ({figure(speed)} prompt tokens/s)" if speed is not None else ""
    return f"{size} tokens are read in {seconds(ttft_s)}{rate}, n = {len(repetitions)}"


def _recall_words(recalls: Sequence[float]) -> str:
    right, n = round(sum(recalls)), len(recalls)
    interval = wilson(right, n)
    return (
        f"of {n} hidden facts {right} {'was' if right == 1 else 'were'} told back "
        f"(95 % interval {interval.low:.0%} to {interval.high:.0%})"
    )


def _swap_notes(sizes: Sizes, samples: Sequence[MonitorSample]) -> Iterator[str]:
    for size, repetitions in sizes.items():
        for name, way in (("swap_out_bytes", "out"), ("swap_in_bytes", "in")):
            if (moved := _swapped(repetitions, samples).get(name, 0.0)) >= SWAPPED_BYTES:
                yield f"{size} tokens: the machine swapped {moved / 2**20:.0f} MiB {way}; such times say little"


def _left_notes(sizes: Sizes, measurement: Measurement) -> Iterator[str]:
    wanted = measurement.settings.get("sizes", ())
    if left := [str(size) for size in wanted if size not in sizes]:
        yield f"not measured: {', '.join(left)} tokens; the largest context is the largest of those that were tried"
    if len(sizes) > 1:
        yield "figures over all requests mix the sizes; the tables tell them apart"


def _swapped(repetitions: Sequence[Repetition], samples: Sequence[MonitorSample]) -> dict[str, float]:
    """Bytes that the machine swapped while these requests ran, going by the samples around them."""
    begun = [r.at_s for r in repetitions if r.at_s is not None]
    if not begun:
        return {}
    ends = [r.at_s + r.metrics.get("e2e_s", 0.0) for r in repetitions if r.at_s is not None]
    found = {}
    for name in ("swap_out_bytes", "swap_in_bytes"):
        read = [(sample.at_s, sample.readings[name]) for sample in samples if name in sample.readings]
        before = [value for at_s, value in read if at_s <= min(begun)][-1:]
        until = [value for at_s, value in read if at_s <= max(ends)][-1:]
        after = [value for at_s, value in read if at_s > max(ends)][:1] or until
        if after:
            found[name] = max(0.0, after[0] - (before or [read[0][1]])[0])
    return found


def _values(repetitions: Sequence[Repetition], metric: str) -> list[float]:
    return [r.metrics[metric] for r in repetitions if metric in r.metrics]


def _median(repetitions: Sequence[Repetition], metric: str) -> float | None:
    return _median_of(_values(repetitions, metric))


def _median_of(values: Sequence[float]) -> float | None:
    return statistics.median(values) if values else None


def _most(repetitions: Sequence[Repetition]) -> float | None:
    return max(_values(repetitions, "rss_bytes"), default=None)


def _label(repetitions: Sequence[Repetition], name: str) -> float | None:
    found = [value for r in repetitions if isinstance(value := r.labels.get(name), int | float)]
    return float(found[0]) if found else None


def _less(value: float | None, than: float | None) -> float | None:
    return None if value is None or than is None else value - than
