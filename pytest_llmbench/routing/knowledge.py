"""What a session knows of the models of its routes: price, latency, health, what they take; looked up, never asked."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from statistics import fmean

from pytest_llmbench import clock
from pytest_llmbench.asker.question import ModelStatus, Status
from pytest_llmbench.errors import InfraError
from pytest_llmbench.records import Reply, Target
from pytest_llmbench.routing.failing import LASTING, REFUSING
from pytest_llmbench.routing.router import ENOUGH, Known

FRESH_S = 1.0
"""For so long the asker is not asked again how it goes."""
RESTS_S = 300.0
"""For so long a model that refused a question until it was given up is asked after the others, unless it answers."""


@dataclass(slots=True)
class Knowledge:
    """Of one process; implements `path.Facts`."""

    target: Callable[[str], Target | None]
    """All that is declared of a model; None: it runs on this machine."""
    status: Callable[[], Status]
    """How asking goes."""
    recent: Callable[[str], Sequence[Reply]]
    """A model's last replies of all runs."""
    _gone: dict[str, str] = field(default_factory=dict)
    """Model → the category of a failure that will last."""
    _refused_at: dict[str, float] = field(default_factory=dict)
    """Model → when it was given up for refusing everything."""
    _stored_s: dict[str, float | None] = field(default_factory=dict)
    """Model → mean latency of its stored replies."""
    _seen: tuple[float, Mapping[str, ModelStatus]] | None = None

    def of(self, models: Sequence[str]) -> dict[str, Known]:
        """Each with what is known of it now."""
        seen = self._statuses()
        return {model: self._known(model, seen.get(model, ModelStatus(model))) for model in models}

    def failed(self, model: str, error: InfraError) -> None:
        """One failed, after all attempts that help."""
        if error.category in LASTING:
            self._gone[model] = str(error.category)
        if error.category in REFUSING:
            self._refused_at[model] = clock.monotonic()

    def answered(self, model: str) -> None:
        """One answered: what failed for good is mended."""
        self._gone.pop(model, None)
        self._refused_at.pop(model, None)

    def _known(self, model: str, seen: ModelStatus) -> Known:
        target = self.target(model)
        latency_s, told = self._latency(model, seen)
        known = Known(
            model,
            is_free=target is None or target.is_local,
            latency_s=latency_s,
            latency_of=told,
            answered=seen.answered,
            broken=seen.broken,
            waiting=seen.waiting,
            limit=seen.limit,
            held_s=seen.held_s,
            breaker=seen.breaker,
            gone=self._gone.get(model, ""),
            refuses=clock.monotonic() - self._refused_at.get(model, -math.inf) < RESTS_S,
        )
        return known if target is None else _declared(known, target)

    def _latency(self, model: str, seen: ModelStatus) -> tuple[float | None, str]:
        if seen.answered >= ENOUGH:
            return seen.answered_s / seen.answered, f"the mean of {seen.answered:,} in this session"
        if model not in self._stored_s:
            times = [reply.timing.e2e_s for reply in self.recent(model) if reply.timing.e2e_s is not None]
            self._stored_s[model] = fmean(times) if len(times) >= ENOUGH else None
        return self._stored_s[model], "the mean of its last ones in the database"

    def _statuses(self) -> Mapping[str, ModelStatus]:
        now = clock.monotonic()
        if self._seen is None or now - self._seen[0] >= FRESH_S:
            self._seen = now, {each.model: each for each in self.status().models}
        return self._seen[1]


def _declared(known: Known, target: Target) -> Known:
    return replace(
        known,
        price=target.price,
        capabilities=target.capabilities,
        context_tokens=target.context_tokens,
    )
