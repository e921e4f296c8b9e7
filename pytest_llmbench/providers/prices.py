"""The price table that is shipped: what well-known models cost and take, for where nobody else tells.

It ages: every entry carries its date, and llmbench.yaml and a provider's catalogue go before it.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from pydantic import Field

from pytest_llmbench.config import PriceDef, RemoteModelDef, strict_yaml
from pytest_llmbench.config.strict import Strict
from pytest_llmbench.config.validating import validated
from pytest_llmbench.providers.facts import Facts, facts_of

PATH = Path(__file__).parents[1] / "data" / "prices.yaml"
SOURCE = "table"
ANY = "*"
"""Stands for every model of a provider."""

_SNAPSHOT = re.compile(r"-(\d{8}|\d{4}-\d{2}-\d{2}|latest)$")
"""How providers mark a dated form of a model; it costs what the model costs."""
_DEMO = "demo"
_TRAITS = re.compile(r"^demo/|\+.*", re.DOTALL)
"""What in a demo model's name tells not who answers, by whom it is billed, but how (`careful+latency_s=0`)."""


_DATE = r"^\d{4}-\d{2}-\d{2}$"


class _Entry(RemoteModelDef):
    price: PriceDef
    as_of: str | None = Field(default=None, pattern=_DATE)


class _Table(Strict):
    as_of: str = Field(pattern=_DATE)
    """The day on which the providers' price pages said so, for all entries without a day of their own."""
    providers: dict[str, dict[str, _Entry]]


def facts(provider: str, model_id: str) -> Facts:
    """What the table says of a model or of a dated form of it; nothing where it is not in it."""
    entries = _table().providers.get(provider, {})
    named = _TRAITS.sub("", model_id) if provider == _DEMO else model_id
    entry = entries.get(named) or entries.get(_SNAPSHOT.sub("", named)) or entries.get(ANY)
    return facts_of(entry, SOURCE, entry.as_of or as_of()) if entry else Facts()


def models() -> Iterator[tuple[str, str]]:
    """(provider, model) of all that the table knows."""
    for provider, entries in _table().providers.items():
        yield from ((provider, model_id) for model_id in entries if model_id != ANY)


def as_of() -> str:
    """The table's date; ISO 8601."""
    return _table().as_of


@cache
def _table() -> _Table:
    return validated(_Table, strict_yaml.read(PATH))
