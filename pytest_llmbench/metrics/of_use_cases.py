"""The rows of the metrics table that use cases have, over all samples that one model was asked."""

from __future__ import annotations

from pytest_llmbench.metrics.row import Direction, Metric

LOWER, HIGHER = Direction.LOWER, Direction.HIGHER

OF_USE_CASES = (
    Metric(
        "pass_rate",
        "share",
        HIGHER,
        "pass rate",
        "Samples of a use case that passed / samples with a verdict.",
    ),
    Metric(
        "score",
        "share",
        HIGHER,
        "score",
        "Mean over a use case's samples of what its validators gave, each by its weight, 0 to 1.",
    ),
    Metric(
        "robustness",
        "share",
        HIGHER,
        "robustness",
        "Samples of a use case that are right as they are and stay right with a damaged input / those that are right "
        "as they are; of several corruptions the mean for each sample.",
    ),
    Metric(
        "unscored_rate",
        "share",
        LOWER,
        "unscored",
        "Samples of a use case that nothing could score / samples that were answered.",
    ),
    Metric(
        "error_rate",
        "share",
        LOWER,
        "infra errors",
        "Samples of a use case that ended as infra errors / samples that were not skipped.",
    ),
    Metric(
        "cost_usd",
        "USD",
        LOWER,
        "cost of a sample",
        "Mean cost of a use case's sample, all its trials and pieces together, over samples of known cost.",
    ),
    Metric(
        "total_cost_usd",
        "USD",
        LOWER,
        "total cost",
        "What all calls of a model for a use case cost together, as far as their cost is known.",
    ),
)
"""Beside these, gates of use cases know the metrics of single calls: `ttft_s`, `e2e_s`, `decode_tps`."""
