"""The metrics table: every quantity we report, with its unit, direction and definition.

Times are in seconds. Sources of the definitions: vLLM, guidellm and aiperf name the same things differently; ours are
written out in docs/reference/metrics.md, which is generated from this table.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum

from pytest_llmbench.records import Timing, Usage


class Direction(StrEnum):
    """Which way is better."""

    LOWER = "lower"
    HIGHER = "higher"


@dataclass(frozen=True, slots=True)
class Metric:
    """One row of the table."""

    name: str
    unit: str
    direction: Direction
    title: str
    """For table heads and charts."""
    definition: str


METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric(
            "ttft_s",
            "s",
            Direction.LOWER,
            "time to first token",
            "Request written to the socket → first event with generated text of any kind: content, reasoning or "
            "tool-call arguments. Role-only and progress events do not count.",
        ),
        Metric(
            "ttft_answer_s",
            "s",
            Direction.LOWER,
            "time to first answer token",
            "Request written → first generated text that is not reasoning.",
        ),
        Metric(
            "tpot_s",
            "s",
            Direction.LOWER,
            "time per output token",
            "(last − first generated event) / (completion tokens − 1); the tokens are the server's count.",
        ),
        Metric("decode_tps", "tok/s", Direction.HIGHER, "decode speed", "1 / tpot_s."),
        Metric(
            "itl_s",
            "s",
            Direction.LOWER,
            "inter-token latency",
            "The raw gap between two events with generated text; an event may carry several tokens.",
        ),
        Metric(
            "max_stall_s",
            "s",
            Direction.LOWER,
            "longest stall",
            "The longest gap between two events with generated text.",
        ),
        Metric(
            "prompt_tps",
            "tok/s",
            Direction.HIGHER,
            "prompt speed",
            "Prompt tokens really processed (not cached) / the server's prompt time.",
        ),
        Metric("e2e_s", "s", Direction.LOWER, "request time", "Request written → last event."),
        Metric(
            "overhead_s",
            "s",
            Direction.LOWER,
            "overhead",
            "ttft_s − the server's prompt time: queue, tokenizing, HTTP and our own client.",
        ),
        Metric(
            "cpu_s_per_token",
            "s",
            Direction.LOWER,
            "CPU time per token",
            "CPU time of the server's process tree during the request / (prompt tokens processed + completion "
            "tokens). About ten times quieter than wall time on a shared CPU.",
        ),
        Metric("load_s", "s", Direction.LOWER, "load time", "Process start → first healthy answer."),
        Metric(
            "peak_rss_bytes",
            "B",
            Direction.LOWER,
            "peak memory",
            "Highest resident set of the server's process tree, mapped weights included.",
        ),
    )
}
"""Metric name → its row."""


def call_metrics(timing: Timing, usage: Usage) -> dict[str, float]:
    """The metrics of one call, from its clock readings and token counts.

    Args:
        timing: client stamps and the server's own timings.
        usage: the server's token counts.

    Returns:
        Metric name → value; what was not measured is absent.
    """
    found: dict[str, float | None] = {
        "ttft_s": timing.ttft_s,
        "ttft_answer_s": timing.ttft_answer_s,
        "e2e_s": timing.e2e_s,
        "tpot_s": _tpot_s(timing, usage),
        "prompt_tps": _prompt_tps(timing),
    }
    if found["tpot_s"]:
        found["decode_tps"] = 1 / found["tpot_s"]
    if timing.gaps_s:
        found["max_stall_s"] = max(timing.gaps_s)
    if timing.ttft_s is not None and "prompt_ms" in timing.server:
        found["overhead_s"] = timing.ttft_s - timing.server["prompt_ms"] / 1000
    return {name: value for name, value in found.items() if value is not None}


def _tpot_s(timing: Timing, usage: Usage) -> float | None:
    tokens = usage.completion_tokens
    if tokens is None or tokens < 2 or timing.ttft_s is None or timing.last_token_s is None:
        return None
    return (timing.last_token_s - timing.ttft_s) / (tokens - 1)


def _prompt_tps(timing: Timing) -> float | None:
    prompt_n, prompt_ms = timing.server.get("prompt_n"), timing.server.get("prompt_ms")
    if not prompt_n or not prompt_ms:
        return None
    return prompt_n / (prompt_ms / 1000)
