"""The metrics of one call."""

from __future__ import annotations

from pytest_llmbench.records import Timing, Usage


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
