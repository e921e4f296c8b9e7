"""What is counted of replies and failed attempts; each is taken in once."""

from __future__ import annotations

from collections import Counter, defaultdict, deque
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from pytest_llmbench.config.alert_schema import LONGEST_S
from pytest_llmbench.display import terminal_safe
from pytest_llmbench.errors import Category
from pytest_llmbench.observe import families
from pytest_llmbench.observe.exposition import Distribution, Labels, Number
from pytest_llmbench.observe.families import Family
from pytest_llmbench.records import Cost
from pytest_llmbench.records.asked import CACHED, UNPRICED
from pytest_llmbench.store.watched import Answer, Failure

MOST_MODELS = 200
"""Models by name; all that come later are `other`, so that nothing grows without bound."""
OTHER = "other"

_ROLES = frozenset({"subject", "judge", "chat"})
_CATEGORIES = frozenset(map(str, Category))
_REUSED = frozenset({"replayed", "taken_over"})
_NO_FAILURE = frozenset({Category.RATE_LIMITED, Category.OVERLOADED, Category.CANCELLED})
"""Refusals steer how fast is asked, and what is broken off was not wanted any more: neither is an error."""
_TYPES = (
    ("prompt", "prompt_tokens"),
    ("cached", "cached_tokens"),
    ("cache_write", "cache_write_tokens"),
    ("completion", "completion_tokens"),
    ("reasoning", "reasoning_tokens"),
)


@dataclass(frozen=True, slots=True)
class Recent:
    """A call of the last hour."""

    at_s: float
    """Since 1970."""
    model: str
    counts: bool
    """Whether it says how well its model answers: it was answered, or it failed by its model's fault."""
    failed: bool
    ttft_s: float | None
    usd: float


class Tally:
    """Everything that was counted so far.

    Args:
        remembers: whether single calls of the last hour are kept, for alerts.
    """

    def __init__(self, *, remembers: bool) -> None:
        self._remembers = remembers
        self._counted: defaultdict[Family, Counter[Labels]] = defaultdict(Counter)
        self._usd: defaultdict[Labels, Decimal] = defaultdict(Decimal)
        self._spread: dict[Family, dict[Labels, Distribution]] = {
            family: {} for family in families.FAMILIES if family.buckets
        }
        self._names: dict[str, str] = {}
        self.spent_usd: defaultdict[str, float] = defaultdict(float)
        """Model → what its stored calls cost."""
        self.recent: deque[Recent] = deque()
        """Oldest first."""
        self.last_at_s: float | None = None
        """When anything was stored last; seconds since 1970."""

    @property
    def numbers(self) -> dict[Family, Mapping[Labels, Number]]:
        return {**self._counted, families.COST: dict(self._usd)}

    @property
    def distributions(self) -> Mapping[Family, Mapping[Labels, Distribution]]:
        return self._spread

    def take(self, answers: Sequence[Answer], failures: Sequence[Failure]) -> None:
        """Count what came since."""
        for answer in answers:
            self._take_answer(answer)
        for failure in failures:
            self._take_failure(failure)
        if answers and failures:
            self.recent = deque(sorted(self.recent, key=lambda each: each.at_s))

    def forget(self, now_s: float) -> None:
        """Drop single calls that nobody asks for any more."""
        while self.recent and self.recent[0].at_s < now_s - LONGEST_S:
            self.recent.popleft()

    def label(self, model: str) -> str:
        """A model's name as the value of a label: without what no terminal shows, and a bounded number of them."""
        if model not in self._names:
            self._names[model] = terminal_safe(model, keep="") if len(self._names) < MOST_MODELS else OTHER
        return self._names[model]

    def _take_answer(self, answer: Answer) -> None:
        model, role, cost = self.label(answer.model), _role(answer.role), Cost.from_dict(answer.cost)
        who, was_asked = (model, role), cost.source not in CACHED | _REUSED
        outcome = "answered" if was_asked else "reused" if cost.source in _REUSED else "cached"
        self._counted[families.CALLS][*who, outcome, ""] += 1
        if not was_asked:
            return
        self._counted[families.RETRIES][who] += answer.attempts > 1
        self._take_usage(who, answer.usage)
        self._counted[families.USAGE_UNKNOWN][who] += answer.usage.get("completion_tokens") is None
        for family, seconds in _times(answer):
            spread = self._spread[family]
            spread.setdefault(who, Distribution(family.buckets)).add(seconds)
        usd = self._take_cost(who, cost)
        self._remember(answer.at, model, failed=False, ttft_s=answer.timing.get("ttft_s"), usd=usd)

    def _take_failure(self, failure: Failure) -> None:
        model, role, cost = self.label(failure.model), _role(failure.role), Cost.from_dict(failure.cost)
        who, category = (model, role), failure.category if failure.category in _CATEGORIES else OTHER
        self._counted[families.CALLS][*who, "failed", category] += 1
        self._counted[families.RETRIES][who] += failure.number > 1
        self._take_usage(who, failure.usage)
        usd = self._take_cost(who, cost)
        self._remember(failure.at, model, failed=True, counts=category not in _NO_FAILURE, usd=usd)

    def _take_usage(self, who: Labels, usage: Mapping[str, Any]) -> None:
        for kind, name in _TYPES:
            if (tokens := usage.get(name)) is not None:
                self._counted[families.TOKENS][*who, kind] += tokens

    def _take_cost(self, who: Labels, cost: Cost) -> float:
        try:
            usd = cost.spent
        except InvalidOperation:
            cost, usd = Cost(), Decimal(0)
        if cost.amount is None:
            self._counted[families.COST_UNKNOWN][who] += cost.source != UNPRICED.source
        else:
            self._usd[*who, cost.source] += usd
            self.spent_usd[who[0]] += float(usd)
        return float(usd)

    def _remember(
        self, at: str, model: str, *, failed: bool, usd: float, counts: bool = True, ttft_s: float | None = None
    ) -> None:
        at_s = seconds(at)
        self.last_at_s = max(self.last_at_s or at_s, at_s)
        if self._remembers:
            self.recent.append(Recent(at_s, model, counts, failed, ttft_s, usd))


def seconds(moment: str) -> float:
    """Since 1970, of a moment in ISO 8601; 0 of none, as of a run whose header was lost."""
    return datetime.fromisoformat(moment).timestamp() if moment else 0.0


def _times(answer: Answer) -> Iterator[tuple[Family, float]]:
    timing, tokens = answer.timing, answer.usage.get("completion_tokens")
    first, last, whole = timing.get("ttft_s"), timing.get("last_token_s"), timing.get("e2e_s")
    if first is not None:
        yield families.TTFT, first
    if whole is not None:
        yield families.E2E, whole
    if first is not None and last is not None and tokens is not None and tokens > 1:
        yield families.TPOT, (last - first) / (tokens - 1)


def _role(role: str) -> str:
    return role if role in _ROLES else OTHER
