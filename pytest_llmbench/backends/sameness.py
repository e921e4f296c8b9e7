"""Whether a server of somebody else is what it was when it was measured before, as far as it tells that."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from pytest_llmbench.backends.kinds import BACKENDS
from pytest_llmbench.records import Measurement

KIND = "kind"
IDENTITY = frozenset({KIND, *(name for each in BACKENDS.values() for name in each.SAME)})
"""Names of all that any kind tells of itself and its model that makes two measurements the same question."""


def told_before(measurement: Measurement) -> dict[str, Any]:
    """What the server of a measurement had told of itself and its model, by the names of `IDENTITY`."""
    subject = measurement.settings.get("subject") or {}
    details = measurement.server.get("details") or {}
    return {name: value for name, value in {**details, **subject}.items() if name in IDENTITY}


def changes(before: Mapping[str, Any], now: Mapping[str, Any]) -> dict[str, tuple[Any, Any]]:
    """Name → (what was told before, what is told now) where both tell it and it differs."""
    return {name: (before[name], told) for name, told in now.items() if name in before and before[name] != told}


def can_tell(before: Mapping[str, Any], now: Mapping[str, Any]) -> bool:
    """Whether the two have anything in common that a change would show in."""
    return bool((before.keys() & now.keys()) - {KIND})
