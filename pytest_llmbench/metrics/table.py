"""The metrics table: every quantity we report, with its unit, direction, definition and marks.

Times are in seconds, a share is 0 to 1. Sources of the definitions: vLLM, guidellm and aiperf name the same things
differently; ours are written out in docs/reference/metrics.md, which is generated from this table.
"""

from __future__ import annotations

import math

from pytest_llmbench.metrics.of_use_cases import OF_USE_CASES
from pytest_llmbench.metrics.row import Band, Direction, Marks, Metric
from pytest_llmbench.metrics.told_by_servers import TOLD_BY_SERVERS

LOWER, HIGHER = Direction.LOWER, Direction.HIGHER
_REST_HIGHER, _REST_LOWER = -math.inf, math.inf

_DECODE = Marks(
    threshold=10,
    unusable=1,
    bands=(
        Band(40, "near instant"),
        Band(20, "very fast"),
        Band(15, "responsive"),
        Band(10, "comfortable reading"),
        Band(5, "moderate"),
        Band(2, "slow dictation"),
        Band(_REST_HIGHER, "barely usable"),
    ),
)

METRICS: dict[str, Metric] = {
    metric.name: metric
    for metric in (
        Metric(
            "ttft_s",
            "s",
            LOWER,
            "time to first token",
            "Request written to the socket → first event with generated text of any kind: content, reasoning or "
            "tool-call arguments. Role-only and progress events do not count.",
            Marks(
                threshold=2,
                unusable=60,
                statistic="p95",
                bands=(
                    Band(0.5, "instant"),
                    Band(2, "quick"),
                    Band(5, "noticeable"),
                    Band(10, "acceptable wait"),
                    Band(30, "breaks flow"),
                    Band(_REST_LOWER, "unusable"),
                ),
            ),
        ),
        Metric(
            "ttft_answer_s",
            "s",
            LOWER,
            "time to first answer token",
            "Request written → first generated text that is not reasoning.",
        ),
        Metric(
            "tpot_s",
            "s",
            LOWER,
            "time per output token",
            "(last − first generated event) / (completion tokens − 1); the tokens are the server's count.",
        ),
        Metric("decode_tps", "tok/s", HIGHER, "decode speed", "1 / tpot_s.", _DECODE),
        Metric(
            "itl_s",
            "s",
            LOWER,
            "inter-token latency",
            "The raw gap between two events with generated text; an event may carry several tokens.",
        ),
        Metric(
            "itl_cv",
            "share",
            LOWER,
            "inter-token variation",
            "Standard deviation / mean of all gaps of the measurement between two events with generated text.",
            Marks(
                threshold=0.2,
                unusable=1,
                bands=(
                    Band(0.1, "smooth"),
                    Band(0.2, "fine"),
                    Band(0.3, "uneven"),
                    Band(_REST_LOWER, "choppy"),
                ),
            ),
        ),
        Metric(
            "max_stall_s",
            "s",
            LOWER,
            "longest stall",
            "The longest gap between two events with generated text.",
        ),
        Metric(
            "prompt_tps",
            "tok/s",
            HIGHER,
            "prompt speed",
            "Prompt tokens really processed (not cached) / the server's prompt time.",
        ),
        Metric("e2e_s", "s", LOWER, "request time", "Request written → last event."),
        Metric(
            "overhead_s",
            "s",
            LOWER,
            "overhead",
            "ttft_s − the server's prompt time: queue, tokenizing, HTTP and our own client.",
        ),
        Metric(
            "cpu_s_per_token",
            "s",
            LOWER,
            "CPU time per token",
            "CPU time of the server's process tree during the request / (prompt tokens processed + completion "
            "tokens). About ten times quieter than wall time on a shared CPU.",
        ),
        Metric("load_s", "s", LOWER, "load time", "Process start → first healthy answer."),
        Metric(
            "peak_rss_bytes",
            "B",
            LOWER,
            "peak memory",
            "Highest resident set of the server's process tree since it was started, mapped weights included. "
            "Measurements of a session with the same server settings share one server, and so its peak.",
        ),
        Metric(
            "rss_bytes",
            "B",
            LOWER,
            "memory after a request",
            "Resident set of the server's process tree when the request has been answered, mapped weights included.",
        ),
        Metric(
            "memory_share",
            "share",
            LOWER,
            "memory used",
            "peak_rss_bytes / the memory of this machine, or of its container where that has a limit.",
            Marks(
                threshold=0.8,
                unusable=1,
                bands=(
                    Band(0.4, "light"),
                    Band(0.6, "fine"),
                    Band(0.8, "dedicated"),
                    Band(0.9, "tight"),
                    Band(_REST_LOWER, "swapping risk"),
                ),
            ),
        ),
        Metric(
            "peak_vram_bytes",
            "B",
            LOWER,
            "peak graphics memory",
            "Highest memory of the server on all graphics cards that was seen during the measurement: of its own "
            "processes where the driver tells it, else of all programs (a note says so). Of a server that is not ours "
            "what it tells itself. Not measured where nothing lies on a card.",
        ),
        Metric(
            "context_load_s",
            "s",
            LOWER,
            "context load",
            "Time to first token at the largest context that was tested, the median of its requests.",
            Marks(
                threshold=30,
                unusable=300,
                bands=(
                    Band(5, "smooth"),
                    Band(15, "brief pause"),
                    Band(30, "delay"),
                    Band(60, "coffee break"),
                    Band(_REST_LOWER, "too slow"),
                ),
            ),
        ),
        Metric(
            "largest_context",
            "tokens",
            HIGHER,
            "largest context",
            "The largest context, prompt and answer together, that was tested and answered.",
            # No threshold: the tests choose the sizes, so a small one is no fault of the model.
            Marks(
                bands=(
                    Band(32_000, "books"),
                    Band(16_000, "long papers"),
                    Band(8_000, "articles"),
                    Band(4_000, "letters"),
                    Band(_REST_HIGHER, "notes"),
                ),
            ),
        ),
        Metric("recall", "share", HIGHER, "recall", "Share of the facts hidden in the context that were told back."),
        Metric(
            "s_per_document",
            "s",
            LOWER,
            "time per document",
            "Request written → last event, of one document of a batch.",
        ),
        Metric(
            "documents_per_hour",
            "1/h",
            HIGHER,
            "documents per hour",
            "Documents finished / the time in which at least one was worked on, with as many slots as are surely the "
            "fastest.",
            Marks(
                threshold=30,
                unusable=2,
                bands=(
                    Band(120, "fast"),
                    Band(60, "efficient"),
                    Band(30, "moderate"),
                    Band(10, "overnight"),
                    Band(_REST_HIGHER, "small"),
                ),
            ),
        ),
        Metric(
            "speedup",
            "",
            HIGHER,
            "speed-up by slots",
            "Documents per hour with several slots in parallel / with one after another.",
        ),
        Metric(
            "accuracy",
            "share",
            HIGHER,
            "accuracy",
            "Share of the items answered correctly.",
            Marks(threshold=0.75, unusable=0.25, each="category", of="correct"),
        ),
        Metric("correct", "share", HIGHER, "correct", "1 where the answer to an item is correct, else 0."),
        Metric(
            "accuracy_change",
            "share",
            HIGHER,
            "change of accuracy",
            "Share of the items answered correctly − the same at the reference quantization, over the items that both "
            "were scored on.",
        ),
        Metric(
            "degraded",
            "",
            LOWER,
            "degraded",
            "1 where significantly fewer items are answered correctly than at the reference quantization, over all or "
            "in a category (exact McNemar test at 5 %, categories after Holm's correction), else 0.",
        ),
        Metric(
            "token_logprob",
            "",
            HIGHER,
            "log-probability of a token",
            "Natural logarithm of the probability that the model gives a token of a set text after those before it, "
            "over the whole vocabulary and before any sampler.",
        ),
        Metric("perplexity", "", LOWER, "perplexity", "exp(−mean token_logprob) of a set text."),
        Metric(
            "perplexity_ratio",
            "",
            LOWER,
            "perplexity ratio",
            "Perplexity / that at the reference quantization, over the tokens that both told.",
        ),
        Metric(
            "top1_agreement",
            "share",
            HIGHER,
            "agreement on the likeliest token",
            "Share of the places of a set text where the same token is the likeliest as at the reference quantization.",
        ),
        Metric(
            "sustained_tps",
            "tok/s",
            HIGHER,
            "sustained speed",
            "Tokens generated / time in the last third of a load without a pause: kept up, not begun with.",
            _DECODE,
        ),
        Metric(
            "kept_share",
            "share",
            HIGHER,
            "speed kept",
            "Speed in the last third of a stress load / that of its first tenth, medians over windows of wall time.",
        ),
        Metric(
            "temperature_c",
            "°C",
            LOWER,
            "temperature",
            "The highest temperature of the processor that the system monitor read.",
            Marks(
                threshold=85,
                unusable=95,
                ideal=55,  # what good cooling keeps a processor at under full load
                bands=(
                    Band(70, "cool"),
                    Band(80, "warm"),
                    Band(85, "hot"),
                    Band(90, "limit"),
                    Band(_REST_LOWER, "stop"),
                ),
            ),
        ),
        Metric(
            "goodput_rps",
            "1/s",
            HIGHER,
            "goodput",
            "Requests a second that kept the objective for time to first token and time per output token, at the level "
            "with the most.",
        ),
        Metric(
            "attainment",
            "share",
            HIGHER,
            "attainment",
            "Share of the requests that kept the objective at the lightest level of a load; a failed request has not.",
            Marks(threshold=0.9, unusable=0.5),
        ),
        Metric(
            "served_level",
            "",
            HIGHER,
            "served level",
            "Heaviest level of a load (users at once, or requests a second) up to which the target share of the "
            "requests kept the objective; 0 where not even the lightest did.",
        ),
        Metric(
            "throughput_rps",
            "1/s",
            HIGHER,
            "throughput",
            "Requests completed / time from the first intended start to the last answer, at the level with the most.",
        ),
        Metric(
            "throughput_tps",
            "tok/s",
            HIGHER,
            "tokens for all users",
            "Tokens generated for all users together / the same time, at the level with the most.",
        ),
        Metric(
            "ttft_intended_s",
            "s",
            LOWER,
            "time to first token, from the intended start",
            "Intended start of the request (open loop) → first event with generated text.",
        ),
        Metric(
            "e2e_intended_s",
            "s",
            LOWER,
            "request time, from the intended start",
            "Intended start of the request (open loop) → last event.",
        ),
        Metric(
            "send_lag_s",
            "s",
            LOWER,
            "sending lag",
            "Intended start of the request (open loop) → request written: how far our own client was late.",
        ),
        *TOLD_BY_SERVERS,
        Metric(
            "anchor_s",
            "s",
            LOWER,
            "fixed work of this machine",
            "CPU time of a fixed piece of arithmetic that no model has a part in, done in the same session: tells a "
            "slower machine from a slower model.",
        ),
        *OF_USE_CASES,
    )
}
"""Metric name → its row."""
