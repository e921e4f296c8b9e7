"""Who judges, and how several become one."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

Vote = Literal["majority", "mean", "veto"]


@dataclass(frozen=True, slots=True)
class Judging:
    """A judge, or a panel of several."""

    models: tuple[str, ...]
    """One is a judge, several are a panel; by the names that models have."""
    vote: Vote = "majority"
    """How a panel's scores become one."""
    binding: bool = False
    """Whether gates count these scores though no calibration has shown that they can be trusted."""
    request: Mapping[str, Any] = field(default_factory=dict)
    """As for `Model.ask`: `max_tokens`, `temperature`, `seed`, and fields of the body."""
