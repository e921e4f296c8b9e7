"""What a run is going to ask, and what that is expected to cost and to take: `--dry-run`.

Tokens and times are those of the model's last replies, where the results database has any, else stated assumptions.
What cannot be known is None, never 0.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from statistics import fmean
from typing import TYPE_CHECKING, Any

from pytest_llmbench.asker.cassette import Cassette
from pytest_llmbench.asker.question import Question
from pytest_llmbench.asker.tokens import upper_bound
from pytest_llmbench.clients.request import ChatRequest
from pytest_llmbench.errors import UsageError
from pytest_llmbench.providers.costs import call_cost, worst_case
from pytest_llmbench.records import Cost, Limits, Reply, Target, Usage
from pytest_llmbench.settings import Settings

if TYPE_CHECKING:
    from pytest_llmbench.store import Store

CHARACTERS_A_TOKEN = 4.0
TOKENS_A_MESSAGE = 4
ANSWER_TOKENS = 256
TOKENS_PER_S = 50.0
FIRST_TOKEN_S = 0.5
ASSUMED = (
    f"assumed: {CHARACTERS_A_TOKEN:g} characters a token, {ANSWER_TOKENS} tokens an answer, "
    f"{FIRST_TOKEN_S:g} s and then {TOKENS_PER_S:g} tokens/s"
)
"""What is taken where no earlier reply tells."""
_AT_FIRST = 20
"""Requests under way when adaptive concurrency begins; doubled after each clean round."""

Place = tuple[str, str, int]


@dataclass(frozen=True, slots=True)
class ModelEstimate:
    """What one model is going to be asked."""

    model: str
    calls: int
    """To be made; without what is stored already and what a cassette or the response cache answers."""
    stored: int
    """Answered already in the run that is resumed, or that replies are taken from."""
    replayed: int
    """Answered by the cassette."""
    missed: int
    """Not in the cassette: infra errors, nothing is asked."""
    cached: int
    """Answered by the response cache."""
    pending: int
    """With a batch API: submitted and paid for, or as good as that."""
    prompt_tokens: int
    completion_tokens: int
    expected_usd: Decimal | None
    worst_usd: Decimal | None
    """None: a price or the longest answer is not known."""
    seconds: float
    basis: str
    """Where tokens and times come from, in words."""
    unknown: str
    """Why a cost is None; empty where both are known."""


@dataclass(frozen=True, slots=True)
class PassedOn:
    """What is asked besides where everything that is put to a route is passed on to the last of its models."""

    calls: int
    worst_usd: Decimal | None
    unknown: str
    """Why that is None; empty where it is known."""


@dataclass(frozen=True, slots=True)
class Estimate:
    """What a run is going to ask."""

    models: tuple[ModelEstimate, ...]
    cap_usd: Decimal | None
    batch: bool
    passed_on: PassedOn | None = None
    """None where nothing can be passed on; no part of the other figures."""

    @property
    def calls(self) -> int:
        return sum(model.calls for model in self.models)

    @property
    def expected_usd(self) -> Decimal | None:
        """None where one model's is."""
        return _sum([model.expected_usd for model in self.models])

    @property
    def worst_usd(self) -> Decimal | None:
        """None where one model's is."""
        return _sum([model.worst_usd for model in self.models])

    @property
    def dearest_usd(self) -> Decimal | None:
        """The most that it can cost where all is passed on, too; None where that is not known."""
        return _sum([self.worst_usd, self.passed_on.worst_usd]) if self.passed_on else self.worst_usd

    @property
    def seconds(self) -> float:
        """Models are asked side by side."""
        return max((model.seconds for model in self.models), default=0.0)


@dataclass(frozen=True, slots=True)
class _Habits:
    """How a model uses tokens and time."""

    characters_a_token: float
    answer_tokens: float
    answer_s: float | None
    """None: not known; assumed from the tokens."""
    basis: str


@dataclass(frozen=True, slots=True)
class _Known:
    """What need not be asked."""

    stored: frozenset[Place]
    cached: frozenset[str]
    lying: frozenset[str]
    replay: Cassette | None

    def answers(self, question: Question) -> bool:
        """Whether it is answered or paid for without the cassette."""
        return question.place in self.stored or question.id in self.cached or question.id in self.lying


def estimate(
    questions: Sequence[Question],
    *,
    settings: Settings,
    store: Store | None = None,
    stored: Collection[Place] = (),
    replay: Cassette | None = None,
    cached: Collection[str] = (),
    lying: Collection[str] = (),
    ways: Iterable[Sequence[Question]] = (),
) -> Estimate:
    """What asking these questions is expected to cost and to take.

    Args:
        questions: what tests are going to want.
        settings: the run's.
        store: where earlier replies are, if anything was ever stored.
        stored: places (test key, request hash, ordinal) of replies that `--resume` takes from the store.
        replay: the cassette that answers, if one does.
        cached: ids of the questions, those of `ways` among them, that the response cache answers.
        lying: ids of the questions that lie with a batch API.
        ways: of what is put to routes, all that may be asked of it; what comes first is one of `questions`, where it
            is not put to a model of this machine first.
    """
    by_model: dict[str, list[Question]] = {}
    for question in {each.id: each for each in questions}.values():
        by_model.setdefault(question.target.name, []).append(question)
    cap = Decimal(settings.max_cost) if settings.max_cost else None
    known = _Known(frozenset(stored), frozenset(cached), frozenset(lying), replay)
    models = [_of_model(asked, settings, store, known) for asked in by_model.values()]
    on = None if replay else _passed_on(ways, {each.id for each in questions}, known, batch=settings.batch)
    return Estimate(tuple(models), cap, settings.batch, on)


def _passed_on(
    ways: Iterable[Sequence[Question]], first: Collection[str], known: _Known, *, batch: bool
) -> PassedOn | None:
    """What has its answer is not passed on, and what would be asked after it may have one, too."""
    open_ways = [way for way in ways if way and not known.answers(way[0])]
    asked = (each for way in open_ways for each in way if each.id not in first and not known.answers(each))
    more = {each.id: each for each in asked}
    return PassedOn(len(more), *worst_of(more.values(), batch=batch)) if more else None


def _of_model(
    questions: Sequence[Question],
    settings: Settings,
    store: Store | None,
    known: _Known,
) -> ModelEstimate:
    target, replay = questions[0].target, known.replay
    fresh = [q for q in questions if q.place not in known.stored]
    left = [q for q in fresh if q.id not in known.lying]
    replayed = [q for q in left if replay is not None and replay.holds(q)]
    asked = [q for q in left if q.id not in known.cached] if replay is None else []
    habits = _habits(store.recent_replies(target.name) if store and asked else ())
    usages = [_expected(question.request, habits) for question in asked]
    worst, unknown = worst_of(asked, batch=settings.batch)
    expected = _sum([call_cost(target, usage, batch=settings.batch).amount for usage in usages])
    return ModelEstimate(
        model=target.name,
        calls=len(asked),
        stored=len(questions) - len(fresh),
        replayed=len(replayed),
        missed=len(left) - len(replayed) if replay is not None else 0,
        cached=len(left) - len(asked) if replay is None else 0,
        pending=len(fresh) - len(left),
        prompt_tokens=sum(usage.prompt_tokens or 0 for usage in usages),
        completion_tokens=sum(usage.completion_tokens or 0 for usage in usages),
        expected_usd=expected,
        worst_usd=worst,
        seconds=_seconds(usages, habits, target.limits, settings.max_concurrency),
        basis=habits.basis,
        unknown=unknown,
    )


def _habits(replies: Sequence[Reply]) -> _Habits:
    """From a model's earlier replies; what they do not tell is assumed."""
    asked = [(_characters(r.request), r.usage.prompt_tokens) for r in replies if r.request and r.usage.prompt_tokens]
    tokens = sum(prompt or 0 for _, prompt in asked)
    answers = [r.usage.completion_tokens for r in replies if r.usage.completion_tokens is not None]
    times = [r.timing.e2e_s for r in replies if r.timing.e2e_s is not None]
    if not answers or not times:
        return _Habits(CHARACTERS_A_TOKEN, ANSWER_TOKENS, None, ASSUMED)
    ratio = sum(characters for characters, _ in asked) / tokens if tokens else CHARACTERS_A_TOKEN
    return _Habits(
        ratio,
        fmean(answers),
        fmean(times),
        f"as its last {len(replies)} replies" if len(replies) > 1 else "as its last reply",
    )


def _expected(request: ChatRequest, habits: _Habits) -> Usage:
    characters = sum(map(_text_length, request.messages))
    prompt = math.ceil(characters / habits.characters_a_token) + TOKENS_A_MESSAGE * len(request.messages)
    answer = habits.answer_tokens if request.max_tokens is None else min(habits.answer_tokens, request.max_tokens)
    return Usage(prompt_tokens=prompt, completion_tokens=round(answer))


def worst_of(questions: Iterable[Question], *, batch: bool) -> tuple[Decimal | None, str]:
    """(the most that these can cost in US dollars, why that is not known)"""
    total = Decimal(0)
    for question in questions:
        target, longest = question.target, question.request.max_tokens or question.target.max_output_tokens
        if _is_free(target):
            continue
        try:
            total += worst_case(target.price, upper_bound(question.request), longest or 0, batch=batch)
        except UsageError:
            return None, f"no price is known of {target.name}: declare one under `prices:` in llmbench.yaml"
        if longest is None:
            return None, "an answer has no longest length: give max_tokens"
    return total, ""


def _is_free(target: Target) -> bool:
    return call_cost(target, Usage()) == Cost("0", "free")


def _seconds(usages: Sequence[Usage], habits: _Habits, limits: Limits, most: int) -> float:
    """Rounds of requests side by side, at first few of them; no faster than the account's limits a minute."""
    most = min(most, limits.concurrency or most)
    at_once, left, rounds = min(_AT_FIRST, most), len(usages), 0
    while left > 0 and at_once < most:
        left, rounds, at_once = left - at_once, rounds + 1, min(2 * at_once, most)
    rounds += math.ceil(max(0, left) / most)
    tokens = sum((usage.prompt_tokens or 0) + (usage.completion_tokens or 0) for usage in usages)
    by_requests = len(usages) * 60 / limits.requests_per_minute if limits.requests_per_minute else 0.0
    by_tokens = tokens * 60 / limits.tokens_per_minute if limits.tokens_per_minute else 0.0
    return max(rounds * _answer_s(usages, habits), by_requests, by_tokens)


def _answer_s(usages: Sequence[Usage], habits: _Habits) -> float:
    if habits.answer_s is not None or not usages:
        return habits.answer_s or 0.0
    return FIRST_TOKEN_S + fmean(usage.completion_tokens or 0 for usage in usages) / TOKENS_PER_S


def _characters(request: Any) -> int:
    return sum(map(_text_length, request.get("messages", ())))


def _text_length(message: Any) -> int:
    content = message.get("content")
    if isinstance(content, str):
        return len(content)
    return sum(len(str(part.get("text", ""))) for part in content or () if isinstance(part, dict))


def _sum(amounts: Iterable[Decimal | None]) -> Decimal | None:
    known = list(amounts)
    return None if None in known else sum((each for each in known if each is not None), Decimal(0))
