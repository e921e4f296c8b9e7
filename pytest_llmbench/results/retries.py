"""How often something was asked once more, because it had failed."""

from __future__ import annotations

from collections.abc import Iterable

from pytest_llmbench.records import FailedAttempt, Reply

MEASURED = "measurement:"
"""How the key begins under which attempts of a measurement are kept."""


def asked_again(replies: Iterable[Reply], failed: Iterable[FailedAttempt]) -> int:
    """How many attempts were made beyond the first of their questions.

    Each tells of itself whether it was one: a reply by how many it took, an attempt that failed by its number. Of a
    measurement no reply tells, and what failed for the first time was always asked again.
    """
    answered = sum(reply.attempts > 1 for reply in replies)
    return answered + sum(
        attempt.number == 1 if attempt.test_key.startswith(MEASURED) else attempt.number > 1 for attempt in failed
    )
