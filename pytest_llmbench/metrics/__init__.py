"""The metrics table, and the metrics of one call."""

from pytest_llmbench.metrics.of_call import call_metrics
from pytest_llmbench.metrics.of_use_cases import OF_USE_CASES as _ROWS
from pytest_llmbench.metrics.row import Band, Direction, Marks, Metric
from pytest_llmbench.metrics.table import METRICS

OF_USE_CASES = frozenset(metric.name for metric in _ROWS)
"""The names of metrics that only use cases have."""

__all__ = ["METRICS", "OF_USE_CASES", "Band", "Direction", "Marks", "Metric", "call_metrics"]
