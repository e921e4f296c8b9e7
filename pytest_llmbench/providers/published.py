"""The form of a catalogue: OpenRouter's list of models, read with distrust."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, InvalidOperation
from typing import Any

from pytest_llmbench.providers.facts import Facts
from pytest_llmbench.records import Capabilities, Price

SOURCE = "catalogue"
_KEPT = ("id", "context_length", "architecture", "pricing", "top_provider", "supported_parameters")
"""Descriptions are a hundred times as long as what is of use."""


@dataclass(frozen=True, slots=True)
class Published:
    """The catalogue as it was fetched."""

    fetched_at: datetime
    models: Mapping[str, Mapping[str, Any]]
    """The provider's name of a model → its entry."""

    def as_dict(self) -> dict[str, Any]:
        """As it is kept; `published` reads it."""
        return {"fetched_at": self.fetched_at.isoformat(), "data": list(self.models.values())}


def published(answer: Any, fetched_at: datetime) -> Published:
    """The models in an answer to `GET /models`.

    Raises:
        ValueError: it is no list of models.
    """
    entries = answer.get("data") if isinstance(answer, dict) else None
    if not isinstance(entries, list) or not entries:
        raise ValueError("it holds no list `data`")
    models = {
        entry["id"]: {name: entry[name] for name in _KEPT if name in entry}
        for entry in entries
        if isinstance(entry, dict) and isinstance(entry.get("id"), str)
    }
    if not models:
        raise ValueError("no entry of `data` has an `id`")
    return Published(fetched_at, models)


def facts_in(entry: Mapping[str, Any], fetched_at: datetime) -> Facts:
    """What an entry says; what is missing or malformed in it is not known."""
    top, architecture = _mapping(entry, "top_provider"), _mapping(entry, "architecture")
    return Facts(
        _price(_mapping(entry, "pricing"), fetched_at.date().isoformat()),
        _capabilities(entry.get("supported_parameters"), architecture.get("input_modalities")),
        _count(top.get("context_length")) or _count(entry.get("context_length")),
        _count(top.get("max_completion_tokens")),
    )


def _price(pricing: Mapping[str, Any], as_of: str) -> Price:
    """In US dollars a token already, as decimal text; "0" for what is charged otherwise, "-1" for what varies."""
    prompt, completion = _amount(pricing.get("prompt")), _amount(pricing.get("completion"))
    if not (prompt and completion):
        return Price()

    def own(name: str, otherwise: str) -> str:
        told = _amount(pricing.get(name))
        return "" if told == "0" and otherwise != "0" else told

    return Price(
        input=prompt,
        output=completion,
        cached=own("input_cache_read", prompt),
        cache_write=own("input_cache_write", prompt),
        reasoning=own("internal_reasoning", completion),
        request=_amount(pricing.get("request")),
        source=SOURCE,
        as_of=as_of,
    )


def _capabilities(parameters: Any, modalities: Any) -> Capabilities:
    if not isinstance(parameters, list) or not isinstance(modalities, list):
        return Capabilities()
    return Capabilities(
        images="image" in modalities,
        audio="audio" in modalities,
        tools="tools" in parameters,
        json_schema="structured_outputs" in parameters,
        seed="seed" in parameters,
        logprobs="logprobs" in parameters,
        system=True,  # the router puts it into the first message where the model takes none
        reasoning="reasoning" in parameters,
        temperature="temperature" in parameters,
        source=SOURCE,
    )


def _mapping(entry: Mapping[str, Any], name: str) -> Mapping[str, Any]:
    value = entry.get(name)
    return value if isinstance(value, dict) else {}


def _count(value: Any) -> int | None:
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


def _amount(value: Any) -> str:
    """Decimal text without an exponent; empty where it is none, or below 0."""
    try:
        amount = Decimal(str(value)) if isinstance(value, str | int | float) else None
    except InvalidOperation:
        return ""
    if amount is None or not amount.is_finite() or amount < 0:
        return ""
    return format(amount.normalize(), "f") if amount else "0"
