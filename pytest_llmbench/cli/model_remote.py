"""`llmbench models list --remote`: what providers offer, at what price."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from fnmatch import fnmatchcase
from typing import Any

from pytest_llmbench.cli import project, screen
from pytest_llmbench.errors import ExitCode
from pytest_llmbench.providers import prices
from pytest_llmbench.providers.facts import Facts
from pytest_llmbench.providers.targets import Providers

_MILLION = Decimal(1_000_000)
_TAKES = ("images", "audio", "tools", "json_schema", "seed", "logprobs", "reasoning")
_TRAITS: Mapping[str, Callable[[Facts], bool]] = {
    "image": lambda facts: facts.capabilities.images is True,
    "audio": lambda facts: facts.capabilities.audio is True,
    "tools": lambda facts: facts.capabilities.tools is True,
    "json": lambda facts: facts.capabilities.json_schema is True,
    "reasoning": lambda facts: facts.capabilities.reasoning is True,
    "free": lambda facts: facts.price.known and not (Decimal(facts.price.input) or Decimal(facts.price.output)),
}


@dataclass(frozen=True, slots=True)
class Offer:
    """A model of a provider."""

    name: str
    facts: Facts


def list_remote(arguments: argparse.Namespace) -> int:
    """Print what providers offer, and how old the catalogues are."""
    providers = Providers(project.resolved(arguments))
    catalogues = {name: catalogue for name in providers.known() if (catalogue := providers.catalogue(name)) is not None}
    offers = [offer for offer in _offers(providers) if _matches(offer, arguments.filter)]
    if arguments.json:
        screen.show_json([_as_dict(offer) for offer in offers])
        return ExitCode.OK
    screen.show_table(
        ("model", "context", "in $/M", "out $/M", "cached $/M", "takes", "price from"),
        [_row(offer) for offer in offers],
    )
    for name, catalogue in catalogues.items():
        screen.show_line(f"{name}: {catalogue.state()}")
    return ExitCode.OK


def _offers(providers: Providers) -> Iterator[Offer]:
    names: dict[str, None] = dict.fromkeys(providers.declared())
    for provider in providers.known():
        if (catalogue := providers.catalogue(provider)) is not None:
            names |= dict.fromkeys(f"{provider}/{model_id}" for model_id in catalogue.models())
    names |= dict.fromkeys(f"{provider}/{model_id}" for provider, model_id in prices.models())
    for name in sorted(names):
        yield Offer(name, providers.facts(name))


def is_named(name: str, words: Sequence[str]) -> bool:
    """Whether a name holds each of the words, or matches it as a glob."""
    return all(word.lower() in name.lower() or fnmatchcase(name, word) for word in words)


def _matches(offer: Offer, words: Sequence[str]) -> bool:
    parts = [word for word in words if word not in _TRAITS]
    return is_named(offer.name, parts) and all(_TRAITS[word](offer.facts) for word in words if word in _TRAITS)


def _row(offer: Offer) -> tuple[str, ...]:
    facts = offer.facts
    price = facts.price
    context = f"{facts.context_tokens:,}" if facts.context_tokens else "–"
    told = f"{price.source} {price.as_of}".strip() if price.known else "unknown"
    amounts = [_per_million(text) for text in (price.input, price.output, price.cached)]
    return (offer.name, context, *amounts, ", ".join(_taken(facts)) or "–", told)


def _taken(facts: Facts) -> list[str]:
    return [name for name in _TAKES if getattr(facts.capabilities, name) is True]


def _per_million(text: str) -> str:
    """Dollars for a million tokens; a dash where nobody told."""
    if not text:
        return "–"
    amount = Decimal(text) * _MILLION
    cents = amount.quantize(Decimal("0.01"))
    return f"{cents:f}" if cents == amount else f"{amount.normalize():f}"


def _as_dict(offer: Offer) -> dict[str, Any]:
    facts = offer.facts
    return {
        "model": offer.name,
        "context_tokens": facts.context_tokens,
        "max_output_tokens": facts.max_output_tokens,
        "price": facts.price.as_dict(),
        "capabilities": facts.capabilities.as_dict(),
    }
