"""Tests that are made of files: use cases and stories. Imports pytest alone, every project loads this module."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_llmbench.asker.question import Question
    from pytest_llmbench.records import Evaluation, Outcome, Sample
    from pytest_llmbench.session import Session

PAGE = "USE-CASE.md"
STORY = ".story.txt"


class OwnTest(pytest.Item):
    """A test of a model on a sample, that no function stands behind: what it asks for is no fixture."""

    asked = frozenset({"model", "sample", "reply"})
    model_name: str
    sample: Sample
    use_case: str
    key: str
    """Stable identity for history, see `testitems.stable_key`."""

    @abstractmethod
    def questions(self, session: Session) -> Sequence[Question]:
        """What it is known to ask of an API model before it runs."""

    @abstractmethod
    def later(self, session: Session) -> int:
        """How many calls more of an API model it is going to take, at least: what they ask depends on answers."""

    @abstractmethod
    def blank(self) -> Evaluation:
        """What is known of it before anything is asked."""

    @abstractmethod
    def ended(self, report: pytest.TestReport) -> tuple[Outcome, str]:
        """How it ended where nothing was raised, and why; the report is changed where pytest is to count otherwise."""


def is_own_file(name: str) -> bool:
    """Whether tests are made of a file of this name."""
    return name == PAGE or name.endswith(STORY)
