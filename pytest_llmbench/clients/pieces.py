"""Text that came in pieces."""

from __future__ import annotations

from collections.abc import Iterable


def joined(parts: Iterable[str]) -> str:
    """The text whole; halves of a surrogate pair that came in two events are put together, a lone half becomes �."""
    return "".join(parts).encode("utf-16", "surrogatepass").decode("utf-16", "replace")
