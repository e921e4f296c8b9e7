"""The same question under way once: whoever else wants it waits for that one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, TypeVar

_T = TypeVar("_T")


class Flights(Generic[_T]):
    """Who waits for which key; belongs to one thread. Those who wait are told apart by identity."""

    def __init__(self) -> None:
        self._flights: dict[str, list[_T]] = {}

    def join(self, key: str, one: _T) -> bool:
        """Wait for a key; whether `one` is the first, who sees to it."""
        flight = self._flights.setdefault(key, [])
        flight.append(one)
        return len(flight) == 1

    def of(self, key: str) -> Sequence[_T]:
        """All who wait for a key, the first of them first."""
        return self._flights.get(key, ())

    def first(self, key: str) -> _T | None:
        """Who sees to the key; None: nobody does."""
        flight = self._flights.get(key)
        return flight[0] if flight else None

    def land(self, key: str) -> list[_T]:
        """End it: all who waited."""
        return self._flights.pop(key, [])

    def leave(self, key: str, one: _T) -> _T | None:
        """`one` does not wait any more; who sees to the key in its place, where it was the first and others wait."""
        flight = self._flights.get(key, [])
        was_first = bool(flight) and flight[0] is one
        flight[:] = [each for each in flight if each is not one]
        if not flight:
            self._flights.pop(key, None)
        return flight[0] if flight and was_first else None
