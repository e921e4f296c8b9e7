"""The metrics for Prometheus, declared once: names, kinds, labels, what they say. docs/reference/prometheus.md and the
board for Grafana are held against this table.

Base units stand in the names. A label's values are models, roles, outcomes, categories: never tests or samples, whose
number has no bound.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum
from typing import NamedTuple

PREFIX = "llmbench_"

DURATION_BUCKETS_S = (0.01, 0.02, 0.04, 0.08, 0.16, 0.32, 0.64, 1.28, 2.56, 5.12, 10.24, 20.48, 40.96, 81.92)
"""Of OpenTelemetry's `gen_ai.client.operation.duration` and `.time_to_first_chunk`."""
TOKEN_BUCKETS_S = (0.01, 0.025, 0.05, 0.075, 0.1, 0.15, 0.2, 0.3, 0.4, 0.5, 0.75, 1.0, 2.5)
"""Of OpenTelemetry's `gen_ai.server.time_per_output_token`."""


class FamilyKind(StrEnum):
    """What Prometheus calls it."""

    COUNTER = "counter"
    """Only rises, and begins at 0 with each run."""
    GAUGE = "gauge"
    HISTOGRAM = "histogram"


class Family(NamedTuple):
    """A metric with all its label values."""

    name: str
    """Without the ending `_total` of counters."""
    kind: FamilyKind
    help: str
    labels: tuple[str, ...] = ()
    buckets: tuple[float, ...] = ()

    @property
    def full_name(self) -> str:
        """As it stands in queries; of a histogram without `_bucket`, `_sum` and `_count`."""
        return f"{self.name}_total" if self.kind is FamilyKind.COUNTER else self.name

    @property
    def unit(self) -> str:
        """Seconds or US dollars, where the name says so."""
        return next((unit for unit in ("seconds", "usd") if self.name.endswith(f"_{unit}")), "")


_WHO = ("model", "role")


def _counter(name: str, help_: str, *labels: str) -> Family:
    return Family(PREFIX + name, FamilyKind.COUNTER, help_, labels)


def _gauge(name: str, help_: str, *labels: str) -> Family:
    return Family(PREFIX + name, FamilyKind.GAUGE, help_, labels)


def _histogram(name: str, help_: str, buckets: tuple[float, ...]) -> Family:
    return Family(PREFIX + name, FamilyKind.HISTOGRAM, help_, _WHO, buckets)


CALLS = _counter(
    "calls",
    "Calls by how they ended: answered, cached (from the response cache), reused (replayed, or taken from another "
    "run), failed; of failures by their error category. Where a response cache is on, cached is told from the start.",
    *(*_WHO, "outcome", "category"),
)
RETRIES = _counter("retries", "Attempts beyond the first of their questions.", *_WHO)
TTFT = _histogram("ttft_seconds", "Request written to first generated token, of any kind.", DURATION_BUCKETS_S)
E2E = _histogram("e2e_seconds", "Request written to last event of the answer.", DURATION_BUCKETS_S)
TPOT = _histogram(
    "time_per_output_token_seconds",
    "From the first token to the last, for each token after the first.",
    TOKEN_BUCKETS_S,
)
TOKENS = _counter(
    "tokens",
    "Tokens by type: prompt (cached ones among them), cached, cache_write, completion (reasoning among it), reasoning; "
    "failed attempts' too, as far as they were told.",
    *(*_WHO, "type"),
)
USAGE_UNKNOWN = _counter("usage_unknown", "Answers whose tokens nobody told.", *_WHO)
COST = _counter("cost_usd", "US dollars spent, by who told: billed, priced, free, ...", *(*_WHO, "source"))
COST_UNKNOWN = _counter(
    "cost_unknown",
    "Calls of unknown cost, which are not in llmbench_cost_usd_total. Servers of ours are in neither.",
    *_WHO,
)

IN_FLIGHT = _gauge("requests_in_flight", "Requests under way.", "model")
LIMIT = _gauge("requests_limit", "How many requests may be under way at once, as learned by now.", "model")
WAITING = _gauge("questions_waiting", "Questions neither answered nor under way.", "model")
BREAKER = _gauge(
    "breaker_state", "1 for the state the circuit breaker is in: closed, half-open, open.", "model", "state"
)
BREAKER_OPENED = _counter(
    "breaker_opened", "How often the circuit breaker opened; not how often a try found it open still.", "model"
)
HELD = _gauge("rate_limit_held_seconds", "How long nothing begins, because the provider said so.", "model")
CUTS = _counter("rate_limit_cuts", "How often the limit was cut, because the provider refused requests.", "model")
RETRIES_LEFT = _gauge("retries_left", "How many more second attempts the retry budget allows now.", "model")
LANE_AGE = _gauge("model_state_age_seconds", "How old the figures of this model's line are.", "model")

BUDGET_CAP = _gauge("budget_cap_usd", "The most that the run may spend; absent without a cap.")
BUDGET_LEFT = _gauge("budget_left_usd", "What is left of it, reservations taken off.")
TESTS = _gauge("tests", "Tests by outcome; unfinished: begun and not ended.", "model", "outcome")
GATES = _gauge("gates", "Gates by verdict, once they are decided.", "verdict")
RUNS = _gauge("runs", "Runs that are watched, by state: finished, unfinished (under way, or killed).", "state")
RUN_INFO = _gauge("run_info", "1; says which run the figures are of.", "run")
RUN_STARTED = _gauge("run_started_timestamp_seconds", "When the run began, in seconds since 1970.")
RUN_FINISHED = _gauge("run_finished_timestamp_seconds", "When it ended; absent while it goes on.")
RUN_EXIT_CODE = _gauge("run_exit_code", "Its exit code; absent while it goes on.")
ALERT = _gauge("alert_firing", "1 while an alert of llmbench.yaml is raised, 0 while it is not.", "alert", "model")
HEALTH = _gauge("health_state", "1 for the state that /health tells: ok, degraded, failing.", "state")
BUILD = _gauge("build_info", "1; says which version answers.", "version", "python")

FAMILIES: tuple[Family, ...] = (
    *(CALLS, RETRIES, TTFT, E2E, TPOT, TOKENS, USAGE_UNKNOWN, COST, COST_UNKNOWN),
    *(IN_FLIGHT, LIMIT, WAITING, BREAKER, BREAKER_OPENED, HELD, CUTS, RETRIES_LEFT, LANE_AGE),
    *(BUDGET_CAP, BUDGET_LEFT, TESTS, GATES, RUNS, RUN_INFO, RUN_STARTED, RUN_FINISHED, RUN_EXIT_CODE),
    *(ALERT, HEALTH, BUILD),
)
"""In the order in which they are written."""

BY_NAME: Mapping[str, Family] = {family.full_name: family for family in FAMILIES}
