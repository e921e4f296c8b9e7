"""Alerts of llmbench.yaml, held against the calls of the last minutes."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fnmatch import fnmatchcase

from pytest_llmbench.config.alert_schema import AlertMarks, AlertsDef
from pytest_llmbench.observe.tally import Recent

RELEASE = 0.8
"""An alert that was raised is over once its value is at this part of its limit: else it would come and go."""
_HOUR_S = 3600.0


@dataclass(frozen=True, slots=True)
class Alert:
    """How one rule stands."""

    name: str
    """`error_rate`, `ttft_p95_s` or `cost_per_hour`."""
    model: str
    """Empty: all models together."""
    firing: bool
    value: float | None
    """None: nothing was asked."""
    limit: float
    sentence: str
    """What was found and what is allowed."""


class Alarm:
    """Remembers what is raised.

    Args:
        alerts: the rules.
    """

    def __init__(self, alerts: AlertsDef) -> None:
        self._alerts = alerts
        self._firing: dict[tuple[str, str], Alert] = {}

    def judged(self, recent: Iterable[Recent], now_s: float) -> list[Alert]:
        """How every rule stands, for which there are calls.

        Args:
            recent: the calls of the last hour.
            now_s: since 1970.
        """
        calls = list(recent)
        by_model: dict[str, list[Recent]] = {model: [] for _, model in self._firing if model}
        for call in calls:
            by_model.setdefault(call.model, []).append(call)
        found = [alert for model, of_it in by_model.items() for alert in self._of_model(model, of_it, now_s)]
        found += self._cost("", self._alerts.cost_per_hour, calls, now_s)
        self._firing = {(alert.name, alert.model): alert for alert in found if alert.firing}
        return found

    def _of_model(self, model: str, of_it: Sequence[Recent], now_s: float) -> Iterator[Alert]:
        alerts, own = self._alerts, self._own(model)
        within = [call for call in of_it if call.at_s >= now_s - alerts.window_s]
        span = _span(alerts.window_s)
        rate = own.error_rate or alerts.error_rate
        if rate is not None:
            counted = [call for call in within if call.counts]
            failed = sum(call.failed for call in counted)
            value = failed / len(counted) if counted else None
            told = f"{failed} of {len(counted)} calls to {model} failed within {span}; {100 * rate:g} % may"
            told = told if counted else f"no call to {model} was answered or failed within {span}"
            yield self._held("error_rate", model, value, rate, told, n=len(counted))
        ttft = own.ttft_p95_s or alerts.ttft_p95_s
        if ttft is not None:
            times = sorted(call.ttft_s for call in within if call.ttft_s is not None)
            value = times[math.ceil(0.95 * len(times)) - 1] if times else None
            told = f"no answer of {model} came within {span}"
            if value is not None:
                told = f"95 % of the answers of {model} within {span} began within {value:.3g} s"
                told = f"{told}; {ttft:g} s are allowed"
            yield self._held("ttft_p95_s", model, value, ttft, told, n=len(times))
        yield from self._cost(model, own.cost_per_hour, of_it, now_s)

    def _cost(self, model: str, usd: str | None, calls: Sequence[Recent], now_s: float) -> list[Alert]:
        if usd is None:
            return []
        spent = sum(call.usd for call in calls if call.at_s >= now_s - _HOUR_S)
        told = f"{model or 'calls'} cost ${spent:.4f} within the last hour; ${float(usd):g} are allowed"
        return [self._held("cost_per_hour", model, spent, float(usd), told, n=self._alerts.min_calls)]

    def _held(self, name: str, model: str, value: float | None, limit: float, told: str, *, n: int) -> Alert:
        """The rule against its value; with too few calls for a verdict it stays as it was."""
        before = self._firing.get((name, model))
        if value is None:
            return Alert(name, model, firing=False, value=None, limit=limit, sentence=told)
        if n < self._alerts.min_calls and before is None:
            return Alert(name, model, firing=False, value=value, limit=limit, sentence=told)
        allowed = limit if before is None else RELEASE * limit
        firing = value > allowed or (n < self._alerts.min_calls and before is not None)
        return Alert(name, model, firing, value, limit, told)

    def _own(self, model: str) -> AlertMarks:
        found = (marks for glob, marks in self._alerts.models.items() if fnmatchcase(model, glob))
        return next(found, AlertMarks())


def _span(window_s: float) -> str:
    return f"{window_s / 60:g} min" if window_s >= 60 else f"{window_s:g} s"
