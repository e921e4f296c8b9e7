"""The section of llmbench.yaml about alerts: what is to be told while a run goes on, before its gates are decided."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from pydantic import Field, PlainValidator, WithJsonSchema

from pytest_llmbench.config.margins import MarginKind, margin
from pytest_llmbench.config.provider_schema import Pattern, Usd
from pytest_llmbench.config.strict import Strict
from pytest_llmbench.option_kinds import DURATION

ALERTS_TEXT = "what raises an alert while a run goes on; it is told, and shown by `llmbench metrics`, and fails nothing"
LONGEST_S = 3600.0
"""Calls are remembered for so long."""


def _share(value: object) -> float:
    """0.05 of `5%` or 0.05."""
    try:
        found = margin(value) if isinstance(value, str | int | float) else None
    except ValueError:
        found = None
    if found is None or found.kind is MarginKind.POINTS or not 0 < found.amount < 1:
        raise ValueError("must be a share between 0 and 1: 5%, or 0.05")
    return found.amount


def _window(value: object) -> str:
    """As it was written: `5m`, `300`."""
    text = str(value) if isinstance(value, str | int | float) and not isinstance(value, bool) else ""
    if DURATION(text) > LONGEST_S:
        raise ValueError("must be an hour at most: 60m")
    return text


_SHARE = {"anyOf": [{"type": "number", "exclusiveMinimum": 0}, {"type": "string", "pattern": r"^[0-9.]+ *%?$"}]}
Share = Annotated[float, PlainValidator(_share), WithJsonSchema(_SHARE)]
Window = Annotated[str, PlainValidator(_window), WithJsonSchema(dict(DURATION.schema))]


class AlertMarks(Strict):
    """What raises an alert; what is left out raises none."""

    error_rate: Share | None = Field(
        default=None,
        description="share of a model's calls within the window that failed; refusals for the rate are none",
    )
    ttft_p95_s: float | None = Field(
        default=None, gt=0, description="seconds to the first token that 95 % of a model's answers keep to"
    )
    cost_per_hour: Usd | None = Field(default=None, description="US dollars spent within the last hour")


class AlertsDef(AlertMarks):
    """Alerts: `error_rate` and `ttft_p95_s` hold for each model by itself, `cost_per_hour` for all together."""

    window: Window = Field(default="5m", description="how far back calls count: 5m, 90 (seconds), 1h")
    min_calls: int = Field(default=20, ge=1, description="so many calls within the window, or nothing is said of them")
    models: dict[Pattern, AlertMarks] = Field(
        default={},
        description="models (glob, the first that matches) → their own marks; `cost_per_hour` is of that model alone",
    )

    @property
    def window_s(self) -> float:
        """How far back calls count, in seconds."""
        return float(DURATION(self.window))

    @property
    def is_given(self) -> bool:
        """Whether anything could raise an alert."""
        return any(_given(marks) for marks in (self, *self.models.values()))


def _given(marks: AlertMarks) -> Mapping[str, Any]:
    told = {name: getattr(marks, name) for name in AlertMarks.model_fields}
    return {name: value for name, value in told.items() if value is not None}
