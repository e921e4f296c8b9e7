"""Tests of what a judge says of a known reply, and the bad replies that are planted for each judge."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from typing import TypeVar

import pytest

from pytest_llmbench.asker.question import Question
from pytest_llmbench.evaluations.items import EvaluationTest, named
from pytest_llmbench.evaluations.judged import judged
from pytest_llmbench.evaluations.jury import Asked, Behalf, Jury
from pytest_llmbench.evaluations.prepared import Prepared
from pytest_llmbench.evaluations.telling import cleaned, without_content
from pytest_llmbench.judges import canary
from pytest_llmbench.judges.matter import Matter
from pytest_llmbench.records import Evaluation, Labelled, Sample, Score, Trial
from pytest_llmbench.session import Session

Kind = TypeVar("Kind", bound="CalibrationTest")
WORTH = {True: 1.0, False: 0.0, None: None}
"""Of what a judge says, by whether it is as it should be; None: nothing that can be used."""
_PLANTED = ", planted orders"


class CalibrationTest(EvaluationTest):
    """What one judge says of what people have labelled."""

    has_reply_at_hand = True
    under_gates = True  # that a judge errs is what is to be found out, and fails nothing
    jury: Jury
    page: str
    """The path of its file from pytest's root."""
    about: str
    """What its row in reports is called; its costs belong to `use_case`."""
    title: str
    known: Labelled
    """What is known before the judge is asked."""
    _planned: Sequence[Question] | None = None

    @abstractmethod
    def put(self) -> list[Asked]:
        """What the judge is asked first."""

    @property
    def behalf(self) -> Behalf:
        """Itself."""
        return Behalf(self.key, self.use_case)

    def questions(self, session: Session) -> Sequence[Question]:
        """As `OwnTest` says."""
        if self._planned is None:
            self._planned = self.jury.questions(self.put()) if session.is_remote(self.model_name) else ()
        return self._planned

    def blank(self) -> Evaluation:
        """As `OwnTest` says."""
        slices = {"people said": self.known.human} if self.is_peoples else {}
        slices |= {"written by": self.known.model} if self.known.model else {}
        return Evaluation(
            use_case=self.about,
            sample=self.sample.id,
            title=self.title,
            page=self.page,
            prompt_version=self.jury.rubric.hash[:16],
            slices=slices,
            expected=self.known.human,
            labelled=self.known,
        )

    @property
    def is_peoples(self) -> bool:
        """Whether people said what the judge is held against; a planted reply is bad by its making."""
        return self.known.kind in {"reply", "pair"}

    def ending(self, score: Score, said: str, known: Labelled) -> tuple[Evaluation, str]:
        """What came of it.

        Args:
            score: of the judge.
            said: what it said, in the words of the labels; empty: nothing that can be used.
            known: with what it said.
        """
        agrees = known.human == said if said else None
        value, passed = WORTH[agrees], None if known.rides_along else agrees
        trial = Trial(value, passed, tuple(self.session_of_ours.asking().reply_ids))
        found = replace(
            self.blank(), value=value, passed=passed, scores=(cleaned(score),), trials=(trial,), labelled=known
        )
        kept = found if self.session_of_ours.settings.keep_prompts else without_content(found)
        right = f"people say {known.human}" if self.is_peoples else "it is planted, and has to fail"
        return kept, f"{right}; the judge says {said or 'nothing that can be used'}"


class LabelTest(CalibrationTest):
    """What one judge says of one labelled reply, or of one of ours that tries to order it about."""

    matter: Matter

    def put(self) -> list[Asked]:
        return self.jury.first([self.matter], [self.behalf])

    def evaluate(self) -> tuple[Evaluation, str]:
        """As `EvaluationTest` says."""
        self._planned = ()
        [score] = judged(self.jury, [self.matter], [self.behalf])
        said = {True: "pass", False: "fail", None: ""}[score.passed]
        return self.ending(replace(score, advisory=False), said, replace(self.known, judged=said))


@dataclass(frozen=True)
class Bench:
    """Where the tests of one judge are made."""

    parent: pytest.File
    session: Session
    jury: Jury
    """Of that judge alone."""
    page: str
    """The path of the file from pytest's root."""
    name: str
    """With which the names of its tests begin."""
    use_case: str = ""
    """Whose budget pays; empty: that of the rubric's own rows."""

    def test(self, kind: type[Kind], about: str, sample: Sample, known: Labelled) -> Kind:
        """A test.

        Args:
            kind: of it.
            about: what sets it apart from others by the same rubric; empty: nothing.
            sample: its name, and what is judged.
            known: what is known before the judge is asked.
        """
        [model] = self.jury.models
        name = f"{self.name}{about.replace(', ', '-').replace(' ', '-')}[{model}-{sample.id}]"
        test: Kind = kind.from_parent(self.parent, **named(self.parent, name))
        test.session_of_ours, test.jury, test.page = self.session, self.jury, self.page
        test.model_name, test.sample, test.known = model, sample, known
        test.about = f"judges: {self.jury.rubric.name}{about}"
        test.use_case = test.title = self.use_case or test.about
        test.key = f"{self.page}::{name}"
        return test

    def of_reply(self, name: str, matter: Matter, known: Labelled, about: str = "") -> LabelTest:
        """The test of a single reply; arguments as for `test`."""
        test = self.test(LabelTest, about, Sample(name, matter.question), known)
        test.matter = matter
        return test

    def planted(self, known: Labelled) -> Iterator[LabelTest]:
        """The same bad reply without an order to the judge, and with several.

        Args:
            known: what is the same of all.
        """
        control, rubric = replace(known, kind="control", human="fail"), self.jury.rubric
        yield self.of_reply("control", canary.control(rubric), control, _PLANTED)
        for number, matter in enumerate(canary.canaries(rubric), start=1):
            yield self.of_reply(f"order-{number}", matter, replace(control, kind="canary"), _PLANTED)


def riding_along(parent: pytest.File, prepared: Prepared) -> Iterator[LabelTest]:
    """What is planted for each judge of a use case, at its cost; nothing where that is not wanted, or nobody judges.

    Args:
        parent: the page.
        prepared: its use case.
    """
    jury, session, case = prepared.jury, prepared.session, prepared.case
    if jury is None or not session.settings.judge_canaries:
        return
    rubric = jury.rubric
    known = Labelled("control", rubric.name, rubric.hash, "fail", request_hash=jury.way_of_asking, rides_along=True)
    for model in jury.members:
        alone = replace(jury, judging=replace(jury.judging, models=(model,)))
        for test in Bench(parent, session, alone, prepared.page, case.name, case.name).planted(known):
            test.judges = (model,)
            yield test
