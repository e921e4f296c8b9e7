"""The reference page of the metrics for Prometheus."""

from __future__ import annotations

from generating.tables import table

from pytest_llmbench.observe.alerts import RELEASE
from pytest_llmbench.observe.families import DURATION_BUCKETS_S, FAMILIES, TOKEN_BUCKETS_S
from pytest_llmbench.observe.health import HELD_S, SILENT_S
from pytest_llmbench.observe.tally import MOST_MODELS


def prometheus_page() -> str:
    """Every metric, the health, the alerts."""
    rows = [
        (f"`{family.full_name}`", family.kind, ", ".join(f"`{label}`" for label in family.labels), family.help)
        for family in FAMILIES
    ]
    metrics = table(("metric", "kind", "labels", ""), rows)
    health = table(("status", "HTTP", "where"), _STATES)
    return _INTRO + metrics + _LABELS + _buckets() + _HEALTH + health + _ALERTS


def _buckets() -> str:
    told = "\n## Buckets\n\nThose of OpenTelemetry's conventions for generative AI, in seconds:\n\n"
    for bounds in (DURATION_BUCKETS_S, TOKEN_BUCKETS_S):
        names = ", ".join(f"`{family.name}`" for family in FAMILIES if family.buckets == bounds)
        told += f"- {names}: {', '.join(f'{bound:g}' for bound in bounds)}\n"
    return told


_INTRO = """# Metrics for Prometheus

What [`llmbench metrics`](cli.md#llmbench-metrics) prints, and serves at `/metrics` with `--serve`, in Prometheus' own
format or, where it is asked for, as OpenMetrics. How to use it: [Watch a run](../how-to/watch-a-run.md).

All of it is computed from the results database when it is asked for. Figures are of one run: the newest
(`llmbench metrics`), another (`llmbench metrics RUN`), or of all stored ones together (`llmbench metrics all`, without
the budget). The cap of the budget is the one that the run has, whatever your configuration says today. When a newer run
begins, counters begin at 0 again, which `rate()` and `increase()` take for what it is.

"""

_LABELS = f"""
## Labels

- `model`: as users write it. Several accounts of one are put together; models after the first {MOST_MODELS} are
  `other`.
- `role`: `subject` (a model under test), `judge`, `chat`, `other`.
- `outcome` of calls: `answered`, `cached`, `reused` (replayed, or taken from another run) or `failed`; of tests the
  [outcomes](../explanation/outcomes.md), and `unfinished`.
- `category`: of a failed call its [error category](exit-codes.md#categories-of-infra-errors); else empty.

No label has tests, samples or texts in it: their number has no bound. What was not measured is in no histogram, and a
figure that nobody knows is absent, never 0. What the cache answered, was replayed or taken over counts as a call of its
outcome, and for no time, token or dollar. Where a run has a response cache, calls with the outcome `cached` are told
while they are 0, so that their share can be computed.
"""

_HEALTH = """
## Health

`/health` answers with a JSON object: `status`, `reasons` (sentences) and `run` (its id).

"""

_FAILING = "an alert is raised; the circuit breakers of all models are open; the database cannot be read"
_DEGRADED = (
    f"a circuit breaker is not closed; a provider asked not to be asked for more than {HELD_S:g} s; a run is not over, "
    f"and nothing was stored for {SILENT_S / 60:g} min"
)
_STATES = (
    ("`failing`", "503", _FAILING),
    ("`degraded`", "200", _DEGRADED),
    ("`ok`", "200", "else; also before the first run"),
)

_ALERTS = f"""
## Alerts

[`alerts:`](configuration.md#alertsdef) of llmbench.yaml are held against the calls of the last minutes, by `/metrics`,
`/health`, and by the run itself every few seconds. `error_rate` counts calls that were answered or failed; refusals for
the rate (`rate_limited`, `overloaded`) and what was cancelled are neither. With fewer than `min_calls` nothing is said.
An alert is over at {100 * RELEASE:g} % of its limit, or when nothing was asked of its model for the whole window. It
fails nothing: [gates](gates.md) do.
"""
