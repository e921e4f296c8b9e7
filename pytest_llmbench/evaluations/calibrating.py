"""Judges held against people: a test a judge and label, right where both say the same."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Iterator, Sequence
from dataclasses import replace
from functools import cached_property
from typing import TypeVar

import pytest

from pytest_llmbench.asker.question import Question
from pytest_llmbench.errors import UsageError
from pytest_llmbench.evaluations.calibration_file import CalibrationFile, PairRow
from pytest_llmbench.evaluations.items import EvaluationTest, named
from pytest_llmbench.evaluations.judged import judged
from pytest_llmbench.evaluations.jury import Asked, Behalf, Jury, judging_of
from pytest_llmbench.evaluations.preferences import PairJury, preferences
from pytest_llmbench.evaluations.prepared import relative_to_root
from pytest_llmbench.evaluations.telling import cleaned, without_content
from pytest_llmbench.judges import canary, pairwise
from pytest_llmbench.judges.judging import Judging
from pytest_llmbench.judges.matter import Matter
from pytest_llmbench.records import Evaluation, Labelled, Sample, Score, Trial
from pytest_llmbench.session import Session

Kind = TypeVar("Kind", bound="CalibrationTest")
_ROLE = "subject"
"""Of the replies: the judge is what is under test here, and its speed and price are told as a model's."""
_PLANTED = ", planted orders"
_WORTH = {True: 1.0, False: 0.0, None: None}


class CalibrationTest(EvaluationTest):
    """What one judge says of what people have labelled."""

    under_gates = True  # that a judge errs is what is to be found out, and fails nothing
    jury: Jury
    page: str
    """The path of its file from pytest's root."""
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
            use_case=self.use_case,
            sample=self.sample.id,
            title=self.use_case,
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
        value = _WORTH[agrees]
        trial = Trial(value, agrees, tuple(self.session_of_ours.asking().reply_ids))
        found = replace(
            self.blank(), value=value, passed=agrees, scores=(cleaned(score),), trials=(trial,), labelled=known
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


class PairTest(CalibrationTest):
    """Which of two labelled replies one judge prefers."""

    jury: PairJury
    row: PairRow

    def put(self) -> list[Asked]:
        return self.jury.of_pair(self.row.a, self.row.b, self.behalf)

    def evaluate(self) -> tuple[Evaluation, str]:
        """As `EvaluationTest` says."""
        self._planned = ()
        ab, ba = preferences(self.jury, self.row.a, self.row.b, self.behalf)
        settled = pairwise.settled(ab, ba)
        known = replace(self.known, judged=settled.winner or "", places=(ab.better or "", ba.better or ""))
        reason = f"{ab.reason} / {ba.reason}"
        score = Score(
            "judge",
            state="scored" if settled.winner else "unscored",
            value=_WORTH[known.human == settled.winner] if settled.winner else None,
            reason=reason,
            details={"judge": self.model_name, "rubric": known.rubric, "rubric_hash": known.rubric_hash[:16]},
            judged=True,
        )
        return self.ending(score, known.judged, known)


def tests_of(parent: pytest.File, session: Session, found: CalibrationFile) -> Iterator[CalibrationTest]:
    """The tests of a calibration file, judge by judge.

    Raises:
        UsageError: nobody says who judges.
    """
    judging = judging_of(session, found.judging)
    if judging is None:
        raise UsageError(
            f"{parent.path}: there is no judge to hold against the labels",
            hint="name some in the file (judges: [demo/judge]), or in the call (--llmbench-judge demo/judge)",
        )
    for model in judging.models:
        yield from _Bench(parent, session, found, replace(judging, models=(model,), binding=False)).tests()


class _Bench:
    """One judge before the labels of a file."""

    def __init__(self, parent: pytest.File, session: Session, found: CalibrationFile, judging: Judging) -> None:
        self._parent = parent
        self._session = session
        self._found = found
        self._judging = judging
        self._page = relative_to_root(session, parent.path)

    def tests(self) -> Iterator[CalibrationTest]:
        """A test a label, beside labels one a planted reply, and one a pair."""
        jury = Jury(self._session, self._found.rubric, self._judging, _ROLE)
        for row in self._found.labels:
            known = replace(self._known, human=row.human, model=row.model, characters=(len(row.matter.reply),))
            yield self._of_reply(jury, "", row.id, row.matter, known)
        if self._found.labels:
            yield from self._planted(jury)
        yield from self._pairs()

    def _planted(self, jury: Jury) -> Iterator[LabelTest]:
        """The same bad reply without an order to the judge, and with several."""
        control = replace(self._known, kind="control", human="fail")
        yield self._of_reply(jury, _PLANTED, "control", canary.control(jury.rubric), control)
        for number, matter in enumerate(canary.canaries(jury.rubric), start=1):
            yield self._of_reply(jury, _PLANTED, f"order-{number}", matter, replace(control, kind="canary"))

    def _of_reply(self, jury: Jury, about: str, name: str, matter: Matter, known: Labelled) -> LabelTest:
        test = self._test(LabelTest, jury, about, Sample(name, matter.question))
        test.matter, test.known = matter, known
        return test

    def _pairs(self) -> Iterator[PairTest]:
        pairs = PairJury(self._session, self._found.rubric, self._judging, _ROLE)
        for pair in self._found.pairs:
            two = self._test(PairTest, pairs, ", pairs", Sample(pair.id, pair.a.question))
            two.row = pair
            two.known = replace(
                self._known,
                kind="pair",
                human=pair.human,
                characters=(len(pair.a.reply), len(pair.b.reply)),
                request_hash="",
                labels_hash=self._found.pairs_hash,
            )
            yield two

    @cached_property
    def _known(self) -> Labelled:
        """What is the same of all labels."""
        rubric, wanted = self._found.rubric, self._session.config.judges
        return Labelled(
            kind="reply",
            rubric=rubric.name,
            rubric_hash=rubric.hash,
            human="",
            request_hash=Jury(self._session, rubric, self._judging).way_of_asking,
            labels_hash=self._found.labels_hash,
            labels_wanted=wanted.labels,
            kappa_wanted=wanted.kappa,
        )

    def _test(self, kind: type[Kind], jury: Jury, about: str, sample: Sample) -> Kind:
        [model] = jury.models
        name = f"{self._found.name}{about.replace(', ', '-').replace(' ', '-')}[{model}-{sample.id}]"
        test: Kind = kind.from_parent(self._parent, **named(self._parent, name))
        test.session_of_ours, test.jury, test.page = self._session, jury, self._page
        test.model_name, test.sample = model, sample
        test.use_case = f"judges: {jury.rubric.name}{about}"
        test.key = f"{self._page}::{name}"
        return test
