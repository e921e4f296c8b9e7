"""Stories: conversations in a text file, with patterns that each reply of the model must match."""

from pytest_llmbench.stories.linting import lint
from pytest_llmbench.stories.playing import play, whole
from pytest_llmbench.stories.reading import SUFFIX, Story, Turn, read

__all__ = ["SUFFIX", "Story", "Turn", "lint", "play", "read", "whole"]
