"""Profiles: ways to load a model in order to measure it. Each drives a timed `ask` and puts its numbers into words."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial

from pytest_llmbench.bench import Profile
from pytest_llmbench.profiles.interactive import interactive
from pytest_llmbench.profiles.ratings import Step, rate

Ratings = Mapping[str, Sequence[Step]]
"""Metric → steps that replace the default ones."""


def _interactive(ratings: Ratings) -> Profile:
    return Profile("interactive", interactive, partial(rate, overrides=ratings))


PROFILES: dict[str, Callable[[Ratings], Profile]] = {"interactive": _interactive}
"""Profile name → the profile, rated by the user's words."""
