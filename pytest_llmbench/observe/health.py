"""Whether a run goes well, in one word with its reasons: for `/health`."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from pytest_llmbench.observe.alerts import Alert
from pytest_llmbench.observe.tally import seconds
from pytest_llmbench.records import LaneState
from pytest_llmbench.store.watched import Standing

State = Literal["ok", "degraded", "failing"]
STATES: tuple[State, ...] = ("ok", "degraded", "failing")

HELD_S = 30.0
"""A line that is held up for longer is worth a word."""
SILENT_S = 900.0
"""A run that is not over, and of which nothing was heard for so long, may have been killed."""


@dataclass(frozen=True, slots=True)
class Health:
    """How it goes."""

    state: State
    reasons: tuple[str, ...] = ()
    run: str = ""
    """The id of the run that this is about; empty where there is none."""

    @property
    def http_status(self) -> int:
        """200, or 503 for what fails: monitors without an eye for JSON see that."""
        return 503 if self.state == "failing" else 200

    def as_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return {"status": self.state, "reasons": list(self.reasons), "run": self.run}


def health(standing: Standing, alerts: Sequence[Alert], now_s: float, last_at_s: float | None) -> Health:
    """How the watched runs go.

    Args:
        standing: how they stand.
        alerts: how the rules of llmbench.yaml stand.
        now_s: since 1970.
        last_at_s: when anything was stored last; None: nothing was.
    """
    newest = standing.runs[0] if standing.runs else None
    if newest is None:
        return Health("ok", ("no run is stored yet",))
    goes_on = newest.finished_at is None
    lanes = standing.lanes if goes_on else ()
    failing = [f"alert {alert.name}: {alert.sentence}" for alert in alerts if alert.firing]
    if lanes and all(lane.breaker == "open" for lane in lanes):
        failing.append("the circuit breakers of all models are open")
    degraded = [reason for lane in lanes for reason in _of_lane(lane, now_s)]
    heard_s = max(seconds(newest.started_at), last_at_s or 0.0)
    if goes_on and now_s - heard_s > SILENT_S:
        degraded.append(f"the run is not over, and nothing was stored for {(now_s - heard_s) / 60:.0f} min")
    state: State = "failing" if failing else "degraded" if degraded else "ok"
    return Health(state, (*failing, *degraded), newest.id)


def _of_lane(lane: LaneState, now_s: float) -> Iterator[str]:
    if lane.breaker != "closed":
        yield f"the circuit breaker of {lane.model} is {lane.breaker}"
    if lane.held_until and (held_s := seconds(lane.held_until) - now_s) > HELD_S:
        yield f"{lane.model} is not asked for another {held_s:.0f} s, because its provider said so"
