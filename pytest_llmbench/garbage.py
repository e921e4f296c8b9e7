"""Python's garbage collector, kept from looking again and again at thousands of things that stay to the end.

It looks at everything alive whenever enough has been made; with thousands of tests that took a seventh of a run's time.
"""

from __future__ import annotations

import atexit
import gc
from collections.abc import Iterator
from contextlib import contextmanager

_SELDOM = (20_000, 20, 20)
"""Its thresholds while thousands of results are made, of which most stay; Python's own are 700, 10 and 10."""

_before: list[tuple[int, int, int]] = []
"""The thresholds as they were, while they are changed."""


def spare() -> None:
    """Have it look no more at what is alive now, and seldom at what comes, until `spare_no_longer`."""
    if not _before:
        _before.append(gc.get_threshold())
        gc.set_threshold(*_SELDOM)
        # A process that ends gives all its memory back; looking through it before takes long.
        atexit.unregister(gc.freeze)
        atexit.register(gc.freeze)
    gc.freeze()


def spare_no_longer() -> None:
    """As it was before `spare`; nothing where that was not called."""
    if _before:
        gc.set_threshold(*_before.pop())
        gc.unfreeze()


@contextmanager
def left_alone() -> Iterator[None]:
    """No collections within: for work that makes much that stays, and hardly any cycles."""
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if was_enabled:
            gc.enable()
