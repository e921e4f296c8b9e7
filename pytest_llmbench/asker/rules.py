"""The choices that asking goes by."""

from __future__ import annotations

import random
from collections.abc import Callable
from dataclasses import dataclass

from pytest_llmbench.asker.retry_budget import SHARE


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """From the run's settings; see `options.py`."""

    max_concurrency: int = 100
    """Requests under way at once to one model."""
    attempts: int = 5
    """How often a request is tried, where trying again may help."""
    retry_budget: float = SHARE
    """Second attempts of the run for each answer, beside those that it has anyway."""
    outage_patience_s: float = 300.0
    """How long a model that fails is waited for before its questions fail, too."""
    prefer: str = "speed"
    """`speed` or `cost`."""
    keep_text: bool = True
    """Whether what had come of a failed answer may be stored."""
    jitter: Callable[[float, float], float] = random.uniform
    """Draws each wait between two bounds."""
