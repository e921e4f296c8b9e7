"""One test a model and sample."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest

from pytest_llmbench.asker.question import Question
from pytest_llmbench.errors import LlmbenchError
from pytest_llmbench.evaluations.asking import Asking
from pytest_llmbench.evaluations.prepared import relative_to_root
from pytest_llmbench.evaluations.storytelling import blank_story, first_question, played
from pytest_llmbench.evaluations.telling import blank, evaluated, explained, outcome_of
from pytest_llmbench.own_tests import STORY, OwnTest
from pytest_llmbench.records import Evaluation, Outcome, Sample
from pytest_llmbench.redaction import redact
from pytest_llmbench.session import Session
from pytest_llmbench.stories import Story


class WrongReplyError(AssertionError):
    """What a model answered is not good enough."""


class EvaluationTest(OwnTest):
    """A test that ends with an `Evaluation`; how it is asked and scored, its kinds say."""

    session_of_ours: Session
    under_gates = False
    """Whether gates decide: then a wrong reply alone fails nothing."""
    outcome = Outcome.RIGHT
    told = ""

    @abstractmethod
    def evaluate(self) -> tuple[Evaluation, str]:
        """Ask and score.

        Returns:
            What was found out, and the deciding reply's text.
        """

    def runtest(self) -> None:
        session = self.session_of_ours
        found, answer = self.evaluate()
        session.asking().evaluation = found
        self.outcome = outcome_of(found)
        self.told = ""
        if self.outcome is not Outcome.RIGHT:
            self.told = redact(explained(found, answer if session.settings.keep_prompts else ""))
        if self.outcome is Outcome.WRONG and not self.under_gates:
            raise WrongReplyError(self.told)

    def ended(self, report: pytest.TestReport) -> tuple[Outcome, str]:
        """As `OwnTest` says; an unscored one is none that pytest may count as passed."""
        if self.outcome is Outcome.UNSCORED:
            report.outcome = "skipped"
            report.longrepr = (str(self.path), 0, f"Skipped: unscored: {self.told}")
        return self.outcome, self.told

    def repr_failure(self, excinfo: pytest.ExceptionInfo[BaseException], style: Any = None) -> Any:
        """A wrong reply and an error of ours in their own words: where they were raised helps nobody."""
        if isinstance(excinfo.value, WrongReplyError | LlmbenchError):
            return str(excinfo.value)
        return super().repr_failure(excinfo, style)

    def reportinfo(self) -> tuple[Path, int | None, str]:
        """For pytest's headings."""
        return self.path, None, self.name


class SampleTest(EvaluationTest):
    """A use case's sample asked of a model."""

    asking: Asking
    sample: Sample
    _planned: Sequence[Question] | None = None

    @classmethod
    def of(cls, parent: pytest.Collector, asking: Asking, sample: Sample) -> SampleTest:
        """The test of a sample.

        Args:
            parent: the file.
            asking: the model, and how it is asked.
            sample: what it is asked.
        """
        prepared, name = asking.prepared, _name_of(asking, sample)
        test: SampleTest = cls.from_parent(parent, **_named(parent, name))
        test.asking, test.sample = asking, sample
        test.session_of_ours, test.under_gates = asking.session, prepared.under_gates
        test.model_name, test.use_case = asking.model, prepared.case.name
        test.key = key_of(asking, sample)
        return test

    def questions(self, session: Session) -> Sequence[Question]:
        """As `OwnTest` says."""
        if self._planned is None:
            self._planned = self.asking.foreseen(self.sample, self.key) if session.is_remote(self.model_name) else ()
        return self._planned

    def later(self, session: Session) -> int:
        """As `OwnTest` says: what puts the answers to pieces together."""
        return self.asking.later(self.sample) if session.is_remote(self.model_name) else 0

    def blank(self) -> Evaluation:
        """As `OwnTest` says."""
        return blank(self.asking, self.sample)

    def evaluate(self) -> tuple[Evaluation, str]:
        """As `EvaluationTest` says."""
        planned, self._planned = self._planned, ()  # what was asked is in the store; of thousands none is held here
        answers, note = self.asking.answers(self.sample, planned or ())
        found = evaluated(self.asking, self.sample, answers, note)
        return found, answers[found.deciding].reply.text


class StoryTest(EvaluationTest):
    """A story played with a model."""

    story: Story
    page: str
    """The path of its file from pytest's root."""
    _planned: Sequence[Question] | None = None

    @classmethod
    def telling(cls, parent: pytest.Collector, session: Session, model: str, story: Story) -> StoryTest:
        """The test of a story.

        Args:
            parent: the file.
            session: this process's.
            model: the name of the one it is played with.
            story: what is said, and what replies must match.
        """
        use_case = story.file.name.removesuffix(STORY)
        name = f"{use_case}[{model}-{story.title}]"
        test: StoryTest = cls.from_parent(parent, **_named(parent, name))
        test.story, test.session_of_ours = story, session
        test.model_name, test.use_case = model, use_case
        test.sample = Sample(story.title, story.turns[0].user)
        test.page = relative_to_root(session, story.file)
        test.key = f"{test.page}::{name}"
        return test

    def questions(self, session: Session) -> Sequence[Question]:
        """As `OwnTest` says: what comes after the first turn depends on the reply to it."""
        if self._planned is None:
            self._planned = first_question(session, self.story, self.model_name, self.key, self.use_case)
        return self._planned

    def later(self, session: Session) -> int:
        """As `OwnTest` says: all turns but the first."""
        return len(self.story.turns) - 1 if session.is_remote(self.model_name) else 0

    def blank(self) -> Evaluation:
        """As `OwnTest` says."""
        return blank_story(self.story, self.use_case, self.page)

    def evaluate(self) -> tuple[Evaluation, str]:
        """As `EvaluationTest` says."""
        return played(self.session_of_ours, self.story, self.model_name, self.blank())


def _named(parent: pytest.Collector, name: str) -> dict[str, str]:
    """A test's name and node id. As text: what pytest makes of a name alone is another id than the one that it reads
    back (pytest 9.2), so that `--lf` would not know its failures."""
    return {"name": name, "nodeid": f"{parent.nodeid}::{name}"}


def key_of(asking: Asking, sample: Sample) -> str:
    """The stable key of the page's own test of a sample."""
    return f"{asking.prepared.page}::{_name_of(asking, sample)}"


def _name_of(asking: Asking, sample: Sample) -> str:
    variant = f"-{asking.variant}" if asking.variant else ""
    return f"{asking.prepared.case.name}[{asking.model}-{sample.id}{variant}]"
