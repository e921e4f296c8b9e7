"""What one level of a load came to: rates, shares and latencies, read off its repetitions. No I/O."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_llmbench.profiles.arrivals import offered_rps
from pytest_llmbench.records import Repetition, Series
from pytest_llmbench.stats import Interval, trend, wilson

ARRIVALS: Mapping[str, str] = {
    "closed": "users at once",
    "constant": "requests/s offered",
    "poisson": "requests/s offered",
    "trace": "speed of the replay",
}
"""Arrival → what its levels count."""

GROWTH = 0.25
BACKLOG = 0.25
"""A queue grows without bound where latency rises by more than so many seconds a second (Theil and Sen's slope), and
more than this share of the requests was unanswered when the last one came.

Below saturation a queue of random arrivals wanders, and neighbours in it share their waits: a slope whose interval
leaves 0 out says nothing. Over 600 simulated paths of 40 requests each (M/D/1 and M/D/4) this rule ended a level at
80 % utilization in 0.7 and 2.3 %, at 150 % in 83 and 90 %, at 200 % in 99.8 %. One missed costs a heavier level.
"""
GROWTH_REQUESTS = 20
NO_GAIN = 1.1
"""A heavier level of a closed loop that completes less than this times the requests a second has nothing more to
give."""


@dataclass(frozen=True, slots=True)
class Objective:
    """What makes a request good; None asks nothing."""

    ttft_s: float | None
    tpot_s: float | None

    @property
    def asks_nothing(self) -> bool:
        return self.ttft_s is None and self.tpot_s is None

    def met(self, repetition: Repetition) -> bool | None:
        """Whether the request met all of it; a failed one has not. None: it cannot be told, no tokens were counted."""
        if "error" in repetition.labels:
            return False
        first_s = first_token_s(repetition)
        if first_s is None or (self.ttft_s is not None and first_s > self.ttft_s):
            return False
        if self.tpot_s is None:
            return True
        tokens, tpot_s = repetition.usage.completion_tokens, repetition.metrics.get("tpot_s")
        if tpot_s is not None:
            return tpot_s <= self.tpot_s
        return None if tokens is None else True  # of a single token no gap can be too long


def objective(settings: Mapping[str, Any]) -> Objective:
    """The objective among the settings of a load."""
    return Objective(settings["ttft_objective_s"], settings["tpot_objective_s"])


def first_token_s(repetition: Repetition) -> float | None:
    """Time to first token; of an open loop from the intended start. None where none came."""
    return repetition.metrics.get("ttft_intended_s", repetition.metrics.get("ttft_s"))


@dataclass(frozen=True, slots=True)
class LevelResult:
    """One level. Rates are over its wall time, from its first intended start to its last end; shares and latencies
    leave the ramp out."""

    level: float
    all: tuple[Repetition, ...]
    wall_s: float
    offered_rps: float | None
    """None: a closed loop offers what is taken."""
    met: int | None
    """Requests behind the ramp that met the objective; None: there is none, or it cannot be told."""
    growth: float | None
    """Seconds by which latency rose in each second of the level; None: a closed loop, or too few."""
    backlog: float
    """Share of the requests that were unanswered when the last one was due."""

    @property
    def counted(self) -> tuple[Repetition, ...]:
        """The requests behind the ramp, or all where there is nothing else."""
        return tuple(r for r in self.all if not r.labels.get("ramp")) or self.all

    @property
    def completed(self) -> tuple[Repetition, ...]:
        return tuple(r for r in self.all if "error" not in r.labels)

    @property
    def errors(self) -> Counter[str]:
        """Category → failed requests."""
        return Counter(str(r.labels["error"]) for r in self.all if "error" in r.labels)

    @property
    def achieved_rps(self) -> float | None:
        """Requests completed per second."""
        return self._per_second(len(self.completed))

    @property
    def output_tps(self) -> float | None:
        """Tokens generated per second for all users together; None where a reply's were not counted."""
        tokens = [r.usage.completion_tokens for r in self.completed]
        known = [count for count in tokens if count is not None]
        return self._per_second(sum(known)) if known and len(known) == len(tokens) else None

    @property
    def attainment(self) -> float | None:
        """Share of the requests that met the objective."""
        return None if self.met is None else self.met / len(self.counted)

    @property
    def attainment_interval(self) -> Interval | None:
        return None if self.met is None else wilson(self.met, len(self.counted))

    @property
    def goodput_rps(self) -> float | None:
        """Good requests per second: the share of the good times all that ended, failed ones included."""
        ended_rps = self._per_second(len(self.all))
        return None if self.attainment is None or ended_rps is None else self.attainment * ended_rps

    def series(self, metric: str) -> Series:
        """A metric of the requests behind the ramp; `first_token_s` is that of the loop's own kind."""
        if metric == "first_token_s":
            found = [first_token_s(r) for r in self.counted]
        elif metric == "request_s":
            found = [_request_s(r) for r in self.counted if "error" not in r.labels]
        else:
            found = [r.metrics.get(metric) for r in self.counted]
        return Series(metric, "s", tuple(value for value in found if value is not None))

    def _per_second(self, count: float) -> float | None:
        return count / self.wall_s if self.wall_s > 0 else None


def last_attempt(repetitions: Iterable[Repetition], level: float) -> tuple[Repetition, ...]:
    """A level's repetitions, of its latest attempt where it was interrupted."""
    found = [r for r in repetitions if r.labels.get("level") == level]
    latest = max((r.labels["attempt"] for r in found), default=0)
    return tuple(r for r in found if r.labels["attempt"] == latest)


def read_level(repetitions: Sequence[Repetition], level: float, settings: Mapping[str, Any]) -> LevelResult:
    """The result of one level.

    Args:
        repetitions: of one attempt; at least one.
        level: which it is.
        settings: of the load.
    """
    is_open = settings["arrival"] != "closed"
    wanted = objective(settings)
    behind = [r for r in repetitions if not r.labels.get("ramp")] or list(repetitions)
    verdicts = [wanted.met(r) for r in behind]
    untold = wanted.asks_nothing or any(verdict is None for verdict in verdicts)
    due_s = [float(r.labels["due_s"]) for r in repetitions] if is_open else []
    offered = offered_rps(due_s)
    return LevelResult(
        level,
        tuple(repetitions),
        _wall_s(repetitions, len(repetitions) / offered if offered else 0.0),
        offered,
        None if untold else sum(map(bool, verdicts)),
        _growth(repetitions) if is_open else None,
        _backlog(repetitions),
    )


def hopeless(now: LevelResult, before: LevelResult | None) -> str:
    """Why no heavier level is worth its time; empty while one is.

    Args:
        now: the level that was measured last.
        before: the one before it; None for the first.
    """
    if not now.completed:
        return f"every request failed ({told_errors(now.errors)})"
    if now.growth is not None and now.growth > GROWTH and now.backlog > BACKLOG:
        return f"its queue grew without bound, latency by {now.growth:.2f} s a second"
    if now.attainment != 0:
        return ""
    if now.offered_rps is not None:
        return "no request met the objective"
    if before is None or (now.achieved_rps or 0) >= NO_GAIN * (before.achieved_rps or 0):
        return ""
    return "no request met the objective, and more users got no more done"


def told_errors(errors: Mapping[str, int]) -> str:
    """`3 overloaded, 1 timeout.ttft`; the most frequent first."""
    return ", ".join(f"{count} {category}" for category, count in Counter(errors).most_common())


def _request_s(repetition: Repetition) -> float | None:
    return repetition.metrics.get("e2e_intended_s", repetition.metrics.get("e2e_s"))


def _ended_after_s(repetition: Repetition) -> float:
    """Its own time, failed or not."""
    return float(repetition.labels.get("failed_after_s", _request_s(repetition) or 0.0))


def _begun_s(repetition: Repetition) -> float:
    """In an open loop the intended start, after the level's; in a closed one the start, after the measurement's."""
    return float(repetition.labels.get("due_s", repetition.at_s or 0.0))


def _wall_s(repetitions: Sequence[Repetition], at_least: float) -> float:
    """From the first start to the last end; of an open loop at least the time over which it offered its requests."""
    begun = min(map(_begun_s, repetitions))
    return max(at_least, max(_begun_s(r) + _ended_after_s(r) for r in repetitions) - begun)


def _growth(repetitions: Sequence[Repetition]) -> float | None:
    told = [(_begun_s(r), took) for r in repetitions if (took := _request_s(r)) is not None]
    if len(told) < GROWTH_REQUESTS:
        return None
    return trend([at for at, _ in told], [took for _, took in told]).slope_per_s


def _backlog(repetitions: Sequence[Repetition]) -> float:
    last_s = max(map(_begun_s, repetitions))
    return sum(_begun_s(r) + _ended_after_s(r) > last_s for r in repetitions) / len(repetitions)
