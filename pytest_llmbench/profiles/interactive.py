"""What a person feels at the keyboard: short prompts, one user, streamed."""

from __future__ import annotations

from collections.abc import Iterator
from collections.abc import Set as AbstractSet

from pytest_llmbench.bench import Load, TimedAsk
from pytest_llmbench.records import Repetition

PROMPTS: tuple[str, ...] = (
    "Explain in a few sentences why the sky is blue.",
    "Write a short, friendly email that moves a meeting from Tuesday to Thursday.",
    "What are three things to check before buying a used bicycle?",
    "Summarize the story of the tortoise and the hare in plain words.",
    "Give me a simple recipe for tomato soup, with quantities for two people.",
)
"""Short everyday requests, 30 to 50 tokens with a usual chat template."""


def interactive(ask: TimedAsk, load: Load, done: AbstractSet[int] = frozenset()) -> Iterator[Repetition]:
    """Send each prompt once a round, one request at a time.

    Args:
        ask: sends one request and times it.
        load: rounds, prompts, output tokens and warm-up requests.
        done: indexes measured before, which are left out.

    Yields:
        One repetition per request, warm-up left out.
    """
    planned = [
        (index, round_, prompt)
        for index, (round_, prompt) in enumerate((r, p) for r in range(load.rounds) for p in load.prompts)
        if index not in done
    ]
    if planned:
        for warmup in range(load.warmup):
            ask(-1 - warmup, -1, load.prompts[0])
    for index, round_, prompt in planned:
        yield ask(index, round_, prompt)
