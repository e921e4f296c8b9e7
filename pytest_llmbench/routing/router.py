"""Which model of a route is asked next, and why: a pure decision from what is known of the question and the models."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from fnmatch import fnmatchcase
from itertools import takewhile
from typing import Any

from pytest_llmbench.asker.fitting import REFUSED
from pytest_llmbench.providers.costs import cost_of
from pytest_llmbench.records import Capabilities, Price, Usage
from pytest_llmbench.routing.figures import Figures
from pytest_llmbench.routing.route import Choose, Route, Rule

PATIENCE_S = 10.0
"""A model that begins nothing for longer is asked after the others."""
ENOUGH = 3
"""Replies from which on a latency is known."""
EXPLORED_EVERY = 16
"""By `fastest` one question in so many goes to the model with the fewest replies of this session: so one that has
become fast is found."""
_NO_PRICE, _NOTHING_TOLD = Price(), Capabilities()
_HARD = "hard"


@dataclass(frozen=True, slots=True)
class Known:
    """What is known of a model at this moment."""

    model: str
    price: Price = _NO_PRICE
    is_free: bool = False
    """Whether calls to it cost nothing where it has no price: one of this machine."""
    latency_s: float | None = None
    """Of a reply, on average; None: not measured often enough."""
    latency_of: str = ""
    """What that rests on, in words."""
    answered: int = 0
    """In this session."""
    broken: int = 0
    """Attempts of this session that failed, refusals for the rate not among them."""
    waiting: int = 0
    limit: int = 0
    held_s: float = 0.0
    """How long it begins nothing."""
    breaker: str = ""
    """`closed`, `open` or `half-open`; empty: nobody told."""
    gone: str = ""
    """The category of a failure that will last; empty: none."""
    refuses: bool = False
    """Whether it was given up lately for refusing whatever it is asked."""
    capabilities: Capabilities = _NOTHING_TOLD
    context_tokens: int | None = None

    @property
    def trouble(self) -> str:
        """Why it is asked after the others, in words; empty: nothing is wrong."""
        if self.gone:
            return f"failed for good ({self.gone})"
        if self.breaker == "open":
            return "left alone for a while (its breaker is open)"
        if self.refuses:
            return "left alone for a while (it refused everything)"
        return f"begins nothing for {self.held_s:.0f} s" if self.held_s > PATIENCE_S else ""

    @property
    def failing(self) -> float:
        """Share of its attempts that failed, one good one taken for granted."""
        return self.broken / (self.answered + self.broken + 1)

    @property
    def wait_s(self) -> float:
        """How long a question would wait in its line, roughly."""
        rounds = self.waiting / self.limit if self.limit else 0.0
        return self.held_s + rounds * (self.latency_s or 0.0)


@dataclass(frozen=True, slots=True)
class Candidate:
    """A model that may be asked, at its place in the order."""

    known: Known
    why: str
    """Why it stands where it stands, in words."""
    cost_usd: Decimal | None
    """Expected of this question; None: no price is known."""
    is_stronger: bool = False
    """Whether it stands under `unsure`."""

    @property
    def model(self) -> str:
        return self.known.model


@dataclass(frozen=True, slots=True)
class Ranking:
    """Whom a route asks, the first one first."""

    candidates: tuple[Candidate, ...]
    refused: Mapping[str, str] = field(default_factory=dict)
    """Models that cannot take the question → why."""
    rule: str = ""
    """What of the route's rules applies, in words; empty: none."""
    hard: str = ""
    """Why the stronger ones come at once, in words; empty: they do not."""
    passed_over: Mapping[str, str] = field(default_factory=dict)
    """Models that would come before the first one, and are asked later, as something is wrong with them → what, in a
    word."""


def ranked(
    route: Route, figures: Figures, known: Mapping[str, Known], *, unsure: bool = False, tried: Collection[str] = ()
) -> Ranking:
    """Whom a route asks with a question.

    Args:
        route: it.
        figures: of the question.
        known: of each of its members.
        unsure: whether an answer left a doubt: then only the stronger ones are asked.
        tried: who was asked already, and is not asked again.
    """
    rule = next((each for each in route.rules if applies(each, figures)), None)
    models, choose = (rule.models, rule.choose) if rule else (route.models, route.choose)
    stronger = route.unsure.to if route.unsure else ()
    hard = "" if unsure else _too_hard(route, figures)
    usual = [] if unsure else _in_order(models, choose, figures, known)
    strong = [_candidate(known[name], figures, "asked where there is a doubt", stronger=True) for name in stronger]
    refused = {each.model: why for each in (*usual, *strong) if (why := _unfit(each.known, figures))}
    found = [*strong, *usual] if hard else [*usual, *strong]
    left = [each for each in found if each.model not in refused and each.model not in tried]
    candidates = tuple(_troubled_last(left))
    before = takewhile(lambda each: each.model != candidates[0].model, left)
    passed_over = {each.model: each.known.gone or "left alone" for each in before}
    return Ranking(candidates, refused, str(rule) if rule else "", hard, passed_over)


def applies(rule: Rule, figures: Figures) -> bool:
    """Whether a question is all that a rule says."""
    return all(_CONDITIONS[name](value, figures) for name, value in rule.when.items() if value is not None)


def expected_usd(known: Known, figures: Figures) -> Decimal | None:
    """What a question is expected to cost; None where no price is known."""
    if known.is_free and not known.price.known:
        return Decimal(0)
    most = figures.request.max_tokens
    answer = figures.answer_tokens if most is None else min(most, figures.answer_tokens)
    return cost_of(Usage(figures.tokens, answer), known.price).amount


def _in_order(models: Sequence[str], choose: Choose, figures: Figures, known: Mapping[str, Known]) -> list[Candidate]:
    candidates = [_candidate(known[name], figures, f"no. {at} of the list") for at, name in enumerate(models, start=1)]
    return _ORDERS[choose](candidates, figures)


def _candidate(known: Known, figures: Figures, why: str, *, stronger: bool = False) -> Candidate:
    return Candidate(known, why, expected_usd(known, figures), stronger)


def _as_listed(candidates: list[Candidate], _figures: Figures) -> list[Candidate]:
    return candidates


def _cheapest(candidates: list[Candidate], _figures: Figures) -> list[Candidate]:
    ordered = sorted(candidates, key=lambda each: (each.cost_usd is None, each.cost_usd or Decimal(0)))
    told = ("no price is known" if each.cost_usd is None else f"${each.cost_usd:.2g} expected" for each in ordered)
    return _with_words(ordered, told)


def _fastest(candidates: list[Candidate], figures: Figures) -> list[Candidate]:
    if figures.draw % EXPLORED_EVERY == 0:
        least = sorted(candidates, key=lambda each: each.known.answered)
        return _with_words(least, (f"explored: {each.known.answered} replies in this session" for each in least))
    ordered = sorted(candidates, key=lambda each: (each.known.latency_s is None, each.known.latency_s or 0.0))
    return _with_words(ordered, map(_latency_told, ordered))


def _latency_told(candidate: Candidate) -> str:
    known = candidate.known
    return "not measured yet" if known.latency_s is None else f"{known.latency_s:.2g} s a reply ({known.latency_of})"


def _healthiest(candidates: list[Candidate], _figures: Figures) -> list[Candidate]:
    def health(each: Candidate) -> tuple[bool, float, float]:
        return each.known.breaker == "half-open", round(each.known.failing, 1), each.known.wait_s

    ordered = sorted(candidates, key=health)
    told = (f"{each.known.failing:.0%} failed, {each.known.wait_s:.1f} s in line" for each in ordered)
    return _with_words(ordered, told)


def _with_words(candidates: Sequence[Candidate], told: Iterator[str]) -> list[Candidate]:
    return [
        Candidate(each.known, why, each.cost_usd, each.is_stronger) for each, why in zip(candidates, told, strict=True)
    ]


def _troubled_last(candidates: Sequence[Candidate]) -> list[Candidate]:
    """Those with which something is wrong after all others; they are asked where nobody else is left."""
    told = _with_words(candidates, (each.known.trouble or each.why for each in candidates))
    return sorted(told, key=lambda each: bool(each.known.trouble))


def _unfit(known: Known, figures: Figures) -> str:
    """Why a model cannot take a question; empty: it can, as far as anybody knows."""
    for need in sorted(figures.needs & REFUSED):
        if getattr(known.capabilities, need) is False:
            return f"takes no {need}"
    if known.context_tokens is not None and figures.tokens > known.context_tokens:
        return f"{figures.tokens:,} tokens do not fit into its context of {known.context_tokens:,}"
    return ""


def _too_hard(route: Route, figures: Figures) -> str:
    unsure = route.unsure
    if unsure is None or _HARD not in unsure.when or figures.difficulty < unsure.difficulty:
        return ""
    return f"difficulty {figures.difficulty:.2f}, and from {unsure.difficulty:.2f} on the stronger ones come at once"


_ORDERS: Mapping[str, Callable[[list[Candidate], Figures], list[Candidate]]] = {
    "order": _as_listed,
    "cheapest": _cheapest,
    "fastest": _fastest,
    "healthiest": _healthiest,
}
_CONDITIONS: Mapping[str, Callable[[Any, Figures], bool]] = {
    "use_case": lambda pattern, figures: fnmatchcase(figures.use_case, pattern),
    "min_tokens": lambda tokens, figures: figures.tokens >= tokens,
    "max_tokens": lambda tokens, figures: figures.tokens <= tokens,
    "images": lambda wanted, figures: ("images" in figures.needs) is wanted,
    "tools": lambda wanted, figures: ("tools" in figures.needs) is wanted,
    "json_schema": lambda wanted, figures: ("json_schema" in figures.needs) is wanted,
}
"""Field of `WhenDef` → whether a question meets it."""
