"""Python's garbage collector, kept from looking again and again at thousands of things that stay to the end.

It looks at everything alive whenever enough has been made; with thousands of tests that took a seventh of a run's time.
"""

from __future__ import annotations

import gc
from collections.abc import Iterator
from contextlib import contextmanager


def spare() -> None:
    """Have it look no more at what is alive now, until `spare_no_longer`."""
    gc.freeze()


def spare_no_longer() -> None:
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
