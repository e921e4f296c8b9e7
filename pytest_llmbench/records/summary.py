"""How one model did in one run, in a few numbers: what is kept of each run for its history."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from pytest_llmbench.records.machine import Host
from pytest_llmbench.records.record import Record

PROFILE, USE_CASE = "profile", "use_case"


@dataclass(frozen=True, slots=True)
class Figure(Record):
    """One metric over a whole run, in the metric's own unit."""

    metric: str
    statistic: str
    """`p50` or `p95` of measured values; `mean` of what has one value a sample; `value` of what was measured once."""
    value: float
    low: float | None
    """95 % interval; None: too few values to bound it, or none was worked out."""
    high: float | None
    n: int


@dataclass(frozen=True, slots=True)
class Summary(Record):
    """What a run says of one model under one profile, or on one use case."""

    kind: str
    """`profile` or `use_case`."""
    name: str
    """The profile, or the use case."""
    model: str
    prompt: str = ""
    """The prompt's variant, on a use case."""
    key: str = ""
    """Hash of `settings`: equal where the same was measured in the same way."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """What has to be the same for two runs to be compared, in words; long texts as the beginning of their hash."""
    version: str = ""
    """Of the prompt: told where it changes, and no reason not to compare."""
    figures: Sequence[Figure] = ()


@dataclass(frozen=True, slots=True)
class PastRun(Record):
    """A summary with the run it is of."""

    run_id: str
    started_at: str
    """ISO 8601, UTC."""
    host: Host
    environment: Mapping[str, Any]
    summary: Summary
