"""One test a model and sample."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from pytest_llmbench.asker.question import Question
from pytest_llmbench.corruption import Applied
from pytest_llmbench.errors import LlmbenchError
from pytest_llmbench.evaluations.asking import Asking
from pytest_llmbench.evaluations.gate_stop import GateStop
from pytest_llmbench.evaluations.judged import foreseen_verdicts, foreseen_ways, verdicts_on
from pytest_llmbench.evaluations.jury import Behalf
from pytest_llmbench.evaluations.prepared import relative_to_root
from pytest_llmbench.evaluations.storytelling import blank_story, first_question, played
from pytest_llmbench.evaluations.telling import blank, evaluated, explained, outcome_of
from pytest_llmbench.evaluations.until_certain import until_certain
from pytest_llmbench.gate_marks import gates_of
from pytest_llmbench.own_tests import STORY, OwnTest
from pytest_llmbench.records import Evaluation, Outcome, Sample
from pytest_llmbench.redaction import redact
from pytest_llmbench.results.asked_samples import Asked
from pytest_llmbench.results.under_gates import counts, is_counted
from pytest_llmbench.session import Session
from pytest_llmbench.stories import Story

LEFT_OUT = "not asked, as the gate was decided: the rate is of the others, and leans to that answer"
"""What is noted of a sample that was not asked any more."""


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
        if self.outcome is Outcome.WRONG and not (self.under_gates or found.is_only_advised or self._is_marked):
            raise WrongReplyError(self.told)

    @property
    def _is_marked(self) -> bool:
        """Whether a gate counts it that a plugin, or a conftest.py, marked it with."""
        return any(counts(gate, self.model_name, self.use_case) for gate in gates_of(self))

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
    damaged: Applied | None = None
    """Of a sample that is asked with its input damaged."""
    ask_group: Callable[[], None] | None = None
    """Asks for several tests at once, this one among them."""
    gate_stop: GateStop | None = None
    """What knows whether the gates need this sample."""
    _planned: Sequence[Question] | None = None

    @classmethod
    def of(cls, parent: pytest.Collector, asking: Asking, sample: Sample, damaged: Applied | None = None) -> SampleTest:
        """The test of a sample.

        Args:
            parent: the file.
            asking: the model, and how it is asked.
            sample: what its replies are scored by.
            damaged: how it is asked; None: as it is.
        """
        corruption = damaged.label if damaged else ""
        prepared, name = asking.prepared, _name_of(asking, sample, corruption)
        test: SampleTest = cls.from_parent(parent, **named(parent, name))
        test.asking, test.sample, test.damaged = asking, sample, damaged
        test.session_of_ours = asking.session
        test.under_gates = damaged is not None or prepared.is_counted(asking.model)
        test.model_name, test.use_case = asking.model, prepared.case.name
        test.key = key_of(asking, sample, corruption)
        # With their standings: so a file that is no calibration is told of before anything is asked.
        test.judges = prepared.jury.models if prepared.jury and prepared.jury.standings else ()
        return test

    @property
    def claims_in_turn(self) -> bool:
        """As `OwnTest` says."""
        return self.ask_group is not None

    @property
    def asked_sample(self) -> Sample:
        """What the model is asked."""
        return self.damaged.asked if self.damaged else self.sample

    @property
    def corruption(self) -> str:
        """How its input is damaged; empty: it is not."""
        return self.damaged.label if self.damaged else ""

    @property
    def may_be_left_out(self) -> bool:
        """As `OwnTest` says."""
        return "samples" in self.asking.prepared.case.stop

    def questions(self, session: Session) -> Sequence[Question]:
        """As `OwnTest` says."""
        if self._planned is None:
            self._planned = (
                self.asking.foreseen(self.asked_sample, self.key, self.asking.prepared.first_trials)
                if session.is_remote(self.model_name)
                else ()
            )
        return self._planned

    def at_most(self, session: Session) -> Sequence[Question]:
        """As `OwnTest` says: all trials, where some may be left out."""
        if not self._may_stop or not session.is_remote(self.model_name):
            return self.questions(session)
        return self.asking.foreseen(self.asked_sample, self.key)

    def later(self, session: Session) -> int:
        """As `OwnTest` says: what puts the answers to pieces together."""
        return self.asking.later(self.asked_sample) if session.is_remote(self.model_name) else 0

    def judge_questions(self, *, every: bool = False) -> Sequence[Question]:
        """As `OwnTest` says."""
        behalf = Behalf(self.key, self.use_case, sample=self.sample.id)
        return foreseen_verdicts(self.asking, self.sample, behalf, every=every)

    def judge_ways(self) -> Sequence[Sequence[Question]]:
        """As `OwnTest` says."""
        return foreseen_ways(self.asking, self.sample, Behalf(self.key, self.use_case, sample=self.sample.id))

    def blank(self) -> Evaluation:
        """As `OwnTest` says."""
        return replace(blank(self.asking, self.sample), corruption=self.corruption)

    def runtest(self) -> None:
        """As `EvaluationTest` says; not where the gates are decided without it."""
        if self.gate_stop is not None and self.gate_stop.reason:
            self._planned = ()
            self.session_of_ours.asking().evaluation = replace(self.blank(), notes=(LEFT_OUT,))
            pytest.skip(self.gate_stop.reason)
        super().runtest()

    def evaluate(self) -> tuple[Evaluation, str]:
        """As `EvaluationTest` says."""
        if self.ask_group is not None:
            self.ask_group()
        planned, self._planned = self._planned, ()  # what was asked is in the store; of thousands none is held here
        behalf = Behalf(self.key, self.use_case, sample=self.sample.id)
        if self._may_stop:
            found, answers = until_certain(self.asking, self.asked_sample, self.sample, planned or (), behalf)
        else:
            answers, note = self.asking.answers(self.asked_sample, planned or ())
            verdicts = verdicts_on(self.asking, self.sample, answers, behalf)
            found = evaluated(self.asking, self.sample, answers, note, verdicts)
        found = replace(found, corruption=self.corruption)
        if self.gate_stop is not None:
            self.gate_stop.add(self.key, Asked(self.model_name, found, outcome_of(found), ()))
        return found, answers[found.deciding].reply.text

    @property
    def _may_stop(self) -> bool:
        prepared = self.asking.prepared
        return prepared.first_trials < prepared.case.repeats


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
        test: StoryTest = cls.from_parent(parent, **named(parent, name))
        test.story, test.session_of_ours = story, session
        test.model_name, test.use_case = model, use_case
        test.under_gates = is_counted(model, use_case, own=(), others=session.config.all_gates)
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


def named(parent: pytest.Collector, name: str) -> dict[str, str]:
    """A test's name and node id. As text: what pytest makes of a name alone is another id than the one that it reads
    back (pytest 9.2), so that `--lf` would not know its failures."""
    return {"name": name, "nodeid": f"{parent.nodeid}::{name}"}


def key_of(asking: Asking, sample: Sample, corruption: str = "") -> str:
    """The stable key of the page's own test of a sample; `corruption`: how it is damaged."""
    return f"{asking.prepared.page}::{_name_of(asking, sample, corruption)}"


def _name_of(asking: Asking, sample: Sample, corruption: str) -> str:
    damage = f"~{corruption}" if corruption else ""
    variant = f"-{asking.variant}" if asking.variant else ""
    return f"{asking.prepared.case.name}[{asking.model}-{sample.id}{damage}{variant}]"
