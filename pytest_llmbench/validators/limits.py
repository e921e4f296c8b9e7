"""A lowest and a highest value, as validators take them: `100` is at most 100, `{at_least: 20, at_most: 100}` both."""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pytest_llmbench.validators.scorer import Where, is_kind, keys_of

Read = Callable[[Any], float | None]
"""Makes a number of what a file says; None where it is none."""


@dataclass(frozen=True, slots=True)
class Limits:
    """What a measured value has to keep to."""

    at_least: float = -math.inf
    at_most: float = math.inf

    def hold(self, value: float) -> bool:
        """Whether a value lies between both."""
        return self.at_least <= value <= self.at_most

    def share(self, value: float) -> float:
        """1 where they hold, else how near a value comes to them: 0.5 of twice the highest, or half the lowest."""
        if self.hold(value):
            return 1.0
        near, far = (self.at_most, value) if value > self.at_most else (value, self.at_least)
        return max(0.0, near / far) if far > 0 else 0.0

    def __str__(self) -> str:
        low = f"at least {self.at_least:g}" if self.at_least > -math.inf else ""
        high = f"at most {self.at_most:g}" if self.at_most < math.inf else ""
        return " and ".join(filter(None, (low, high)))


def number(value: Any) -> float | None:
    """A finite number as it stands in a file."""
    return float(value) if is_kind(value, float) and math.isfinite(value) else None


def limits(argument: Any, where: Where, read: Read = number, *, alone: str = "at_most") -> Limits:
    """The limits that an argument declares.

    Args:
        argument: a value, or a mapping with `at_least`, `at_most` or both.
        where: its place.
        read: makes a number of one of them.
        alone: what a value by itself is.

    Raises:
        ConfigError: it declares none, or the lowest is above the highest.
    """
    given = argument if isinstance(argument, dict) else {alone: argument}
    keys_of(given, where, {"at_least": (int, float, str), "at_most": (int, float, str)})
    values = {key: read(value) for key, value in given.items()}
    if not values or any(value is None for value in values.values()):
        raise where.error("must be a number, or a mapping with at_least or at_most of a number each")
    found = Limits(**{key: value for key, value in values.items() if value is not None})
    if found.at_least > found.at_most:
        raise where.error(f"at_least {found.at_least:g} is above at_most {found.at_most:g}")
    return found
