"""Profiles: ways to load a model in order to measure it. Each drives a stand and puts its numbers into words."""

from __future__ import annotations

from pytest_llmbench.bench import Profile
from pytest_llmbench.profiles.batch import BATCH
from pytest_llmbench.profiles.interactive import INTERACTIVE
from pytest_llmbench.profiles.load import LOAD
from pytest_llmbench.profiles.long_context import LONG_CONTEXT
from pytest_llmbench.profiles.quality import QUALITY
from pytest_llmbench.profiles.stress import STRESS

PROFILES: dict[str, Profile] = {
    profile.name: profile for profile in (INTERACTIVE, LONG_CONTEXT, BATCH, QUALITY, STRESS, LOAD)
}
"""Profile name → the profile."""
