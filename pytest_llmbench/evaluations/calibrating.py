"""Judges held against people: a test a judge and label, right where both say the same."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from functools import cached_property

import pytest

from pytest_llmbench.errors import UsageError
from pytest_llmbench.evaluations.calibration_file import CalibrationFile, PairRow
from pytest_llmbench.evaluations.jury import Asked, Jury, judging_of
from pytest_llmbench.evaluations.planting import WORTH, Bench, CalibrationTest
from pytest_llmbench.evaluations.preferences import PairJury, preferences
from pytest_llmbench.evaluations.prepared import relative_to_root
from pytest_llmbench.judges import pairwise
from pytest_llmbench.judges.judging import Judging
from pytest_llmbench.records import Evaluation, Labelled, Sample, Score
from pytest_llmbench.session import Session

_ROLE = "subject"
"""Of the replies: the judge is what is under test here, and its speed and price are told as a model's."""


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
            value=WORTH[known.human == settled.winner] if settled.winner else None,
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
    for model in dict.fromkeys(each for name in judging.models for each in session.routing.members(name)):
        yield from _Bench(parent, session, found, replace(judging, models=(model,), binding=False)).tests()


class _Bench:
    """One judge before the labels of a file."""

    def __init__(self, parent: pytest.File, session: Session, found: CalibrationFile, judging: Judging) -> None:
        self._session = session
        self._found = found
        self._judging = judging
        jury = Jury(session, found.rubric, judging, _ROLE)
        self._bench = Bench(parent, session, jury, relative_to_root(session, parent.path), found.name)

    def tests(self) -> Iterator[CalibrationTest]:
        """A test a label, beside labels one a planted reply, and one a pair."""
        for row in self._found.labels:
            known = replace(self._known, human=row.human, model=row.model, characters=(len(row.matter.reply),))
            yield self._bench.of_reply(row.id, row.matter, known)
        if self._found.labels:
            yield from self._bench.planted(self._known)
        yield from self._pairs()

    def _pairs(self) -> Iterator[PairTest]:
        pairs = PairJury(self._session, self._found.rubric, self._judging, _ROLE)
        bench = replace(self._bench, jury=pairs)
        for pair in self._found.pairs:
            known = replace(
                self._known,
                kind="pair",
                human=pair.human,
                characters=(len(pair.a.reply), len(pair.b.reply)),
                request_hash="",
                labels_hash=self._found.pairs_hash,
            )
            two = bench.test(PairTest, ", pairs", Sample(pair.id, pair.a.question), known)
            two.row = pair
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
