"""Files that settings name: looked at when a session begins, before anything is asked."""

# ruff: noqa: PLC0415 - few sessions name any

from __future__ import annotations

from pytest_llmbench.config import Resolved


def check(resolved: Resolved) -> None:
    """See that each can be used.

    Raises:
        LlmbenchError: one cannot; it says why, and what to do.
    """
    settings = resolved.settings
    if settings.record or settings.replay:
        from pytest_llmbench.asker import cassette

        cassette.check(resolved)
    if settings.baseline not in {"auto", "none"}:
        from pytest_llmbench.results.baseline_choice import named

        named(resolved)
