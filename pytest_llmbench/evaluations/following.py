"""Judges asked ahead: as replies come, and not when their tests run."""

from __future__ import annotations

import contextlib
from collections import Counter
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from queue import SimpleQueue
from threading import Thread

from pytest_llmbench.asker.question import Question
from pytest_llmbench.errors import LlmbenchError, OverBudgetError
from pytest_llmbench.evaluations.inquiry import Inquiry
from pytest_llmbench.evaluations.items import SampleTest
from pytest_llmbench.evaluations.judged import numbered
from pytest_llmbench.evaluations.jury import Behalf, Jury, matter_of
from pytest_llmbench.evaluations.sitting import Sitting
from pytest_llmbench.records import Reply
from pytest_llmbench.session import Session

_END_S = 5.0

Outcome = Reply | BaseException
"""A reply, or what stands for it."""


@dataclass(slots=True)
class _Awaited:
    """Replies that something is to be done with once all are there."""

    left: int
    replies: dict[int, Reply] = field(default_factory=dict)


class Follower:
    """Asks judges what tests are going to want of them, the moment the replies of a test are there.

    What it asks are the very questions of the tests, which are answered once; where it fails, they ask by themselves.

    Args:
        session: this process's.
    """

    def __init__(self, session: Session) -> None:
        self._session = session
        self._come: SimpleQueue[tuple[Callable[[Outcome], None], Outcome] | None] = SimpleQueue()
        self._thread = Thread(target=self._work, name="llmbench-follower", daemon=True)

    def begin(self, tests: Iterable[SampleTest]) -> None:
        """Follow the replies of tests, as far as they are asked ahead and judged by models behind an API."""
        for test in tests:
            jury = test.asking.prepared.jury
            if jury is None or len(jury.local_models) == len(jury.models):
                continue
            questions: Sequence[Question] = ()
            with contextlib.suppress(OverBudgetError):  # in trying out what the model takes: the test meets it itself
                questions = test.questions(self._session)
            if questions and test.asking.is_whole(test.asked_sample):
                awaited = _Awaited(len(questions))
                for place, question in enumerate(questions):
                    self._follow(question, partial(self._replied, test, jury, awaited, place))
        self._thread.start()

    def stop(self) -> None:
        """Ask nothing more; what is under way is not waited for."""
        self._come.put(None)

    def join(self) -> None:
        """Wait for its end, once nothing answers any more."""
        self._thread.join(_END_S)

    def _follow(self, question: Question, then: Callable[[Outcome], None]) -> None:
        self._session.asker.follow(question, lambda outcome: self._come.put((then, outcome)))

    def _work(self) -> None:
        while (come := self._come.get()) is not None:
            then, outcome = come
            with contextlib.suppress(LlmbenchError):  # the test meets it itself
                then(outcome)

    def _replied(self, test: SampleTest, jury: Jury, awaited: _Awaited, place: int, outcome: Outcome) -> None:
        if not isinstance(outcome, Reply):
            return  # never complete: the test meets the error itself
        awaited.replies[place] = outcome
        awaited.left -= 1
        if not awaited.left:
            self._judge(test, jury, [awaited.replies[each] for each in range(len(awaited.replies))])

    def _judge(self, test: SampleTest, jury: Jury, replies: Sequence[Reply]) -> None:
        case, behalf = test.asking.prepared.case, Behalf(test.key, test.use_case, sample=test.sample.id)
        number, before = numbered(), Counter[tuple[str, str]]()
        for reply in replies:
            sitting = Sitting(jury, matter_of(case, jury.rubric, test.sample, reply), behalf, number)
            for inquiry in sitting.due():
                self._ask(jury, sitting, inquiry, before)

    def _ask(self, jury: Jury, sitting: Sitting, inquiry: Inquiry, before: Counter[tuple[str, str]]) -> None:
        """Ask what is due; a model of this machine is only asked when the test runs."""
        if inquiry.asked is not None and self._session.is_remote(inquiry.asked.model):
            self._follow(jury.question(inquiry.asked, before), partial(self._heard, jury, sitting, inquiry, before))

    def _heard(
        self, jury: Jury, sitting: Sitting, inquiry: Inquiry, before: Counter[tuple[str, str]], outcome: Outcome
    ) -> None:
        if not isinstance(outcome, Reply | LlmbenchError):
            return
        inquiry.take(outcome)
        for each in [inquiry] if inquiry.asked is not None else sitting.reopened():
            self._ask(jury, sitting, each, before)
