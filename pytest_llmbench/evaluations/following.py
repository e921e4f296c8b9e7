"""Judges asked ahead: as replies come, and not when their tests run."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from functools import partial
from queue import SimpleQueue
from threading import Thread

from pytest_llmbench.asker.question import Question
from pytest_llmbench.errors import LlmbenchError
from pytest_llmbench.evaluations.items import SampleTest
from pytest_llmbench.evaluations.judged import retries, scored
from pytest_llmbench.evaluations.jury import Asked, Behalf, Jury, matter_of
from pytest_llmbench.records import Reply
from pytest_llmbench.session import Session

_END_S = 5.0


@dataclass(slots=True)
class _Awaited:
    """Replies that something is to be done with once all are there."""

    then: Callable[[list[Reply]], None]
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
        self._come: SimpleQueue[tuple[_Awaited, int, Reply | None] | None] = SimpleQueue()
        self._thread = Thread(target=self._work, name="llmbench-follower", daemon=True)

    def begin(self, tests: Iterable[SampleTest]) -> None:
        """Follow the replies of tests, as far as they are asked ahead and judged by models behind an API."""
        for test in tests:
            jury = test.asking.prepared.jury
            if jury is None or len(jury.local_models) == len(jury.models):
                continue
            questions = test.questions(self._session)
            if questions and test.asking.is_whole(test.asked_sample):
                self._follow(questions, partial(self._judge, test, jury))
        self._thread.start()

    def stop(self) -> None:
        """Ask nothing more; what is under way is not waited for."""
        self._come.put(None)

    def join(self) -> None:
        """Wait for its end, once nothing answers any more."""
        self._thread.join(_END_S)

    def _follow(self, questions: Sequence[Question], then: Callable[[list[Reply]], None]) -> None:
        awaited = _Awaited(then, len(questions))
        for place, question in enumerate(questions):
            self._session.asker.follow(question, partial(self._take, awaited, place))

    def _take(self, awaited: _Awaited, place: int, reply: Reply | None) -> None:
        self._come.put((awaited, place, reply))

    def _work(self) -> None:
        while (come := self._come.get()) is not None:
            awaited, place, reply = come
            if reply is None:
                continue  # never complete: the test meets the error itself
            awaited.replies[place] = reply
            awaited.left -= 1
            if not awaited.left:
                with contextlib.suppress(LlmbenchError):  # as above
                    awaited.then([awaited.replies[each] for each in range(len(awaited.replies))])

    def _judge(self, test: SampleTest, jury: Jury, replies: Sequence[Reply]) -> None:
        case, behalf = test.asking.prepared.case, Behalf(test.key, test.use_case)
        matters = [matter_of(case, jury.rubric, test.sample, reply) for reply in replies]
        both = jury.first(matters, [behalf] * len(matters))
        asked = [each for each in both if self._session.is_remote(each.model)]
        self._follow(jury.questions(asked), partial(self._judge_again, jury, asked))

    def _judge_again(self, jury: Jury, asked: Sequence[Asked], replies: Sequence[Reply]) -> None:
        scores = [scored(jury, each, reply) for each, reply in zip(asked, replies, strict=True)]
        if again := list(retries(asked, replies, scores).values()):
            self._session.asker.plan(jury.questions(again))
