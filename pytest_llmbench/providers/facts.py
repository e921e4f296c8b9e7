"""What is known of a remote model, and how what one source says is laid over what another does."""

from __future__ import annotations

import dataclasses
from collections.abc import Iterable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from pytest_llmbench.config import CapabilitiesDef, LimitsDef, PriceDef, RemoteModelDef
from pytest_llmbench.records import Capabilities, Limits, Price

_NO_PRICE = Price()
_NOT_TOLD = Capabilities()
_MILLION = Decimal(1_000_000)
_PER_MILLION = ("input", "output", "cached", "cache_write", "reasoning")


@dataclass(frozen=True, slots=True)
class Facts:
    """What one source says of a model; empty and None where it says nothing."""

    price: Price = _NO_PRICE
    capabilities: Capabilities = _NOT_TOLD
    context_tokens: int | None = None
    max_output_tokens: int | None = None


def laid_over(sources: Iterable[Facts]) -> Facts:
    """All sources together; of two that say something, the earlier one counts. Prices are never mixed."""
    whole = Facts()
    for facts in sources:
        whole = Facts(
            whole.price if whole.price.known else facts.price,
            over(whole.capabilities, facts.capabilities),
            whole.context_tokens or facts.context_tokens,
            whole.max_output_tokens or facts.max_output_tokens,
        )
    return whole


def over(upper: Capabilities, lower: Capabilities) -> Capabilities:
    """Both together; where both say something, `upper` counts."""
    said = {field.name: getattr(upper, field.name) for field in dataclasses.fields(upper) if field.name != "source"}
    missing = {name: getattr(lower, name) for name, value in said.items() if value is None}
    if not upper.source or not any(value is not None for value in missing.values()):
        return dataclasses.replace(upper, **missing, source=upper.source or lower.source)
    return dataclasses.replace(upper, **missing, source=f"{upper.source}, {lower.source}")


def price_of(definition: PriceDef | None, source: str, as_of: str = "") -> Price:
    """The price a token that a configuration states for a million of them."""
    if definition is None:
        return Price()
    fields = {name: _each(getattr(definition, name)) for name in _PER_MILLION}
    return Price(**fields, request=definition.request or "", source=source, as_of=as_of)


def capabilities_of(definition: CapabilitiesDef, source: str) -> Capabilities:
    """What a configuration states; what it leaves out is not known."""
    said: dict[str, Any] = definition.model_dump()
    return Capabilities(**said, source=source if any(value is not None for value in said.values()) else "")


def facts_of(definition: RemoteModelDef | None, source: str, as_of: str = "") -> Facts:
    """What a configuration states of one model."""
    if definition is None:
        return Facts()
    return Facts(
        price_of(definition.price, source, as_of),
        capabilities_of(definition.capabilities, source),
        definition.context_tokens,
        definition.max_output_tokens,
    )


def limits_of(definition: LimitsDef | None) -> Limits:
    """What a configuration states of an account's limits."""
    return Limits(**definition.model_dump()) if definition else Limits()


def _each(per_million: str | None) -> str:
    if per_million is None:
        return ""
    amount = Decimal(per_million) / _MILLION
    return format(amount.normalize(), "f") if amount else "0"
