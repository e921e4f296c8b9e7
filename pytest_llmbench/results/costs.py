"""What a run cost: by model and test, subject and judge apart, failed attempts too. What is not known is counted."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation

from pytest_llmbench.records import Cost, FailedAttempt, Reply, Run
from pytest_llmbench.records.asked import CACHED, UNPRICED
from pytest_llmbench.results.money import UNKNOWN, money


@dataclass(frozen=True, slots=True)
class Spent:
    """What some calls cost together; amounts in US dollars as decimal text."""

    calls: int = 0
    usd: str = "0"
    """Of the calls whose cost is known."""
    unknown: int = 0
    """Calls whose cost nobody told: they are not in `usd`, and they were not free."""
    replayed: int = 0
    """Calls that a cassette answered: nothing was spent."""
    replayed_usd: str = "0"
    """What those had cost when they were recorded."""
    taken_over: int = 0
    """Calls that another run made and paid for."""
    taken_over_usd: str = "0"
    """What those had cost there, as far as it is known."""
    cached: int = 0
    """Replies of the response cache: nothing was asked, nothing was spent."""
    cached_usd: str = "0"
    """What those had cost when they were asked first."""

    @property
    def amount(self) -> str:
        """What was spent, in words: `$0.42`; `unknown` where nobody told of any call."""
        asked = self.calls - self.replayed - self.taken_over - self.cached
        return UNKNOWN if asked and self.unknown == asked else money(Decimal(self.usd))

    @property
    def words(self) -> str:
        """`$0.42`, `$0.42 + 3 unknown`, `unknown`, `$0 (replayed)`, `(taken over)`, `(cached)`; empty for no calls."""
        if not self.calls:
            return ""
        if self.replayed == self.calls:
            return f"{self.amount} (replayed)"
        if self.taken_over == self.calls:
            return f"{self.amount} (taken over)"
        if self.cached == self.calls:
            return f"{self.amount} (cached)"
        is_partly = self.unknown and self.amount != UNKNOWN
        return f"{self.amount}{f' + {self.unknown:,} {UNKNOWN}' if is_partly else ''}"


@dataclass(frozen=True, slots=True)
class Costs:
    """The costs of a model, a test or a run."""

    subject: Spent = Spent()
    """Replies of the models under test."""
    judge: Spent = Spent()
    """Replies of judges."""
    probe: Spent = Spent()
    """Our own tiny questions about what a model takes."""
    failed: Spent = Spent()
    """Attempts that failed and were billed all the same, or may have been."""

    @property
    def total(self) -> Spent:
        """All of it."""
        parts = (self.subject, self.judge, self.probe, self.failed)
        return Spent(
            calls=sum(part.calls for part in parts),
            usd=_text(sum((Decimal(part.usd) for part in parts), Decimal(0))),
            unknown=sum(part.unknown for part in parts),
            replayed=sum(part.replayed for part in parts),
            replayed_usd=_text(sum((Decimal(part.replayed_usd) for part in parts), Decimal(0))),
            taken_over=sum(part.taken_over for part in parts),
            taken_over_usd=_text(sum((Decimal(part.taken_over_usd) for part in parts), Decimal(0))),
            cached=sum(part.cached for part in parts),
            cached_usd=_text(sum((Decimal(part.cached_usd) for part in parts), Decimal(0))),
        )


@dataclass(frozen=True, slots=True)
class TestCost:
    """What the replies of one test cost."""

    __test__ = False

    key: str
    costs: Costs


class Ledger:
    """The calls of a run, looked up by who asked and who was asked."""

    def __init__(self, run: Run) -> None:
        self._replies = {reply.id: reply for reply in run.replies if is_accounted(reply.model, reply.cost)}
        self._failed = [each for each in run.failed_attempts if is_accounted(each.model, each.cost)]
        self._failed_by_test: dict[str, list[FailedAttempt]] = {}
        for attempt in self._failed:
            self._failed_by_test.setdefault(attempt.test_key, []).append(attempt)
        self.is_shown = any(
            not _is_free(call.cost) for calls in (self._replies.values(), self._failed) for call in calls
        )
        """Whether anything was asked that has a price: else no report speaks of money."""

    def of_run(self) -> Costs:
        """Of everything."""
        return _costs(self._replies.values(), self._failed)

    def by_model(self) -> dict[str, Costs]:
        """Model → its costs, whether it was asked as subject or judge."""
        replies: dict[str, list[Reply]] = {}
        failed: dict[str, list[FailedAttempt]] = {}
        for reply in self._replies.values():
            replies.setdefault(reply.model, []).append(reply)
        for attempt in self._failed:
            failed.setdefault(attempt.model, []).append(attempt)
        return {model: _costs(replies.get(model, ()), failed.get(model, ())) for model in {**replies, **failed}}

    def of(self, reply_ids: Iterable[str], test_keys: Iterable[str]) -> Costs:
        """Of some calls and of what failed for some tests; a reply that is named twice counts once."""
        replies = [self._replies[id_] for id_ in dict.fromkeys(reply_ids) if id_ in self._replies]
        return _costs(replies, self.failed(test_keys))

    def failed(self, test_keys: Iterable[str]) -> list[FailedAttempt]:
        """The failed attempts of some tests."""
        return [attempt for key in dict.fromkeys(test_keys) for attempt in self._failed_by_test.get(key, ())]

    def by_test(self, run: Run) -> tuple[TestCost, ...]:
        """Of each test that asked something; a reply that several tests share is in each of them."""
        return tuple(
            TestCost(result.key, self.of(result.reply_ids, [result.key]))
            for result in run.results
            if result.key in self._failed_by_test or any(id_ in self._replies for id_ in result.reply_ids)
        )


def is_accounted(model: str, cost: Cost) -> bool:
    """Whether a call has a place in an account: not one to a model of this machine, whose cost nobody told."""
    if cost.source == UNPRICED.source:
        return False
    provider = model.partition("/")[0]
    is_remote = "/" in model and provider[:1] not in {"", ".", "~"} and ":" not in provider
    return cost.source not in {"unknown", *CACHED} or (is_remote and not model.endswith(".gguf"))


def amount_of(cost: Cost) -> Decimal | None:
    """What a call cost, in US dollars; the database may hold anything: what is no amount is unknown."""
    try:
        amount = Decimal(cost.usd) if cost.usd else None
    except InvalidOperation:
        return None
    return amount if amount is not None and amount.is_finite() else None


def _is_free(cost: Cost) -> bool:
    """Whether it cost nothing to ask, now or when a cached reply was asked first."""
    return cost.source == "free" or (cost.source in CACHED and cost.usd == "0")


def cost_words(model: str, cost: Cost) -> str:
    """What one call cost, in words; empty where it has no place in an account."""
    if _is_free(cost) or not is_accounted(model, cost):
        return ""
    amount = amount_of(cost)
    shown = "cost unknown" if amount is None else money(amount)
    return f"{shown}{_WHEN.get(cost.source, '')}"


def _costs(replies: Iterable[Reply], failed: Iterable[FailedAttempt]) -> Costs:
    by_role: dict[str, list[Cost]] = {"subject": [], "judge": [], "probe": []}
    for reply in replies:
        by_role.get(reply.role, by_role["subject"]).append(reply.cost)
    spent = {role: _spent(costs) for role, costs in by_role.items()}
    return Costs(**spent, failed=_spent([attempt.cost for attempt in failed]))


def _spent(costs: list[Cost]) -> Spent:
    if not costs:
        return _NOTHING
    known, elsewhere = Decimal(0), dict.fromkeys(_WHEN, Decimal(0))
    unknown = 0
    for cost in costs:
        amount = amount_of(cost)
        if cost.source in _WHEN:
            elsewhere[cost.source] += amount or 0
        elif amount is None:
            unknown += 1
        else:
            known += amount
    count = Counter(cost.source for cost in costs)
    return Spent(
        len(costs),
        _text(known),
        unknown,
        replayed=count["replayed"],
        replayed_usd=_text(elsewhere["replayed"]),
        taken_over=count["taken_over"],
        taken_over_usd=_text(elsewhere["taken_over"]),
        cached=sum(count[source] for source in CACHED),
        cached_usd=_text(sum((elsewhere[source] for source in CACHED), Decimal(0))),
    )


_NOTHING = Spent()
_WHEN = {
    "replayed": " when it was recorded",
    "taken_over": " in the run it was taken from",
    "cached": " when it was asked first",
    "alike": " when a question alike was asked",
}
"""Source of a cost that was not spent now → when it was."""


def _text(amount: Decimal) -> str:
    return format(amount.normalize(), "f") if amount else "0"
