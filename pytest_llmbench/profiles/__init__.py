"""Profiles: loads applied to a model to measure it. Each is a function from a timed `ask` to repetitions."""

from pytest_llmbench.profiles.interactive import interactive
from pytest_llmbench.profiles.profile import Load, Profile

PROFILES: dict[str, Profile] = {"interactive": interactive}
"""Profile name → the function that drives it."""

__all__ = ["PROFILES", "Load", "Profile"]
