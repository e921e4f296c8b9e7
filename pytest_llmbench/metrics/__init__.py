"""The metrics table, and the metrics of one call."""

from pytest_llmbench.metrics.of_call import call_metrics
from pytest_llmbench.metrics.row import Band, Direction, Marks, Metric
from pytest_llmbench.metrics.table import METRICS

__all__ = ["METRICS", "Band", "Direction", "Marks", "Metric", "call_metrics"]
