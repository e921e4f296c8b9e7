"""What the monitor asks at each sample."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Protocol


class Source(Protocol):
    """Something that can be read again and again, cheaply."""

    @property
    def missing(self) -> Mapping[str, str]:
        """Reading → why this machine does not give it. May change while the source is read."""
        ...

    def read(self, at_s: float) -> Mapping[str, float]:
        """The readings now; what cannot be read at this moment is absent. Never raises for that.

        Args:
            at_s: a monotonic time, for readings that are a rate: they are absent from the first reading.
        """
        ...

    def close(self) -> None:
        """Let go of what is held."""
        ...


def number_in(path: Path) -> int | None:
    """The whole number in a file of /sys; None where there is none, it is not ours to read, or the device refuses."""
    try:
        return int(path.read_text("ascii", "replace").strip())
    except (OSError, ValueError):
        return None


def word_in(path: Path) -> str:
    """The text of a file of /sys; empty where it cannot be read."""
    try:
        return path.read_text("utf-8", "replace").strip()
    except OSError:
        return ""
