"""Tests that are made of files: use cases, stories, calibrations, a matrix. Every project loads this."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

if TYPE_CHECKING:
    from pytest_llmbench.asker.question import Question
    from pytest_llmbench.records import Evaluation, Outcome, Sample
    from pytest_llmbench.session import Session

PAGE = "USE-CASE.md"
STORY = ".story.txt"
CALIBRATION = ".calibration.yaml"


class OwnItem(pytest.Item):
    """A test that no function stands behind: what it asks for is no fixture."""

    asked: frozenset[str]
    """The names of the fixtures that a function would ask for."""
    model_name: str
    use_case = ""
    judges: Sequence[str] = ()
    """The names of the models that judge what comes back."""
    key: str
    """Stable identity for history, see `testitems.stable_key`."""

    @property
    def claims_in_turn(self) -> bool:
        """Whether its models of this machine run one after the other: then none is claimed before it asks."""
        return False

    @abstractmethod
    def blank(self) -> Evaluation | None:
        """What is known of it before anything is asked; None where it is about no sample."""

    @abstractmethod
    def ended(self, report: pytest.TestReport) -> tuple[Outcome, str]:
        """How it ended where nothing was raised, and why; the report is changed where pytest is to count otherwise."""


class OwnTest(OwnItem):
    """A test of a model on a sample."""

    asked = frozenset({"model", "sample", "reply"})
    sample: Sample
    has_reply_at_hand = False
    """Whether what they judge is known before anything is asked: then nobody has to wait for a reply."""

    @property
    def may_be_left_out(self) -> bool:
        """Whether its page wants no more samples asked than a gate needs."""
        return False

    @abstractmethod
    def questions(self, session: Session) -> Sequence[Question]:
        """What it is known to ask of an API model before it runs."""

    def at_most(self, session: Session) -> Sequence[Question]:
        """As `questions`, with all that answers may make it ask besides; they may make it ask less."""
        return self.questions(session)

    def later(self, session: Session) -> int:  # noqa: ARG002 - for tests that go on by what they were answered
        """How many calls more of an API model it is going to take, at least: what they ask depends on answers."""
        return 0

    def judge_questions(self, *, every: bool = False) -> Sequence[Question]:  # noqa: ARG002 - for tests with judges
        """What judges behind an API are expected to be asked of it; of replies that nobody knows yet.

        Args:
            every: all whom a route may ask, and not only the one that comes first.
        """
        return ()

    def judge_ways(self) -> Sequence[Sequence[Question]]:
        """Of each question to a judge all that may be asked in its place, where that is a route; who comes first is
        one of `judge_questions`."""
        return ()


def is_own_file(name: str) -> bool:
    """Whether tests are made of a file of this name."""
    return name == PAGE or name.endswith((STORY, CALIBRATION))


def may_be_matrix(path: Path, parent: pytest.Collector) -> bool:
    """Whether a file was named to pytest that may be the session's llmbench.yaml: then its matrix is measured.

    One that only lies in a folder that is collected is not asked for: a matrix takes hours.
    """
    return path.suffix in {".yaml", ".yml"} and parent.session.isinitpath(path)
