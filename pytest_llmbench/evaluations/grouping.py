"""Samples that a model of this machine answers and another one judges: all replies first, then all verdicts.

So a machine with room for one of them loads each once, not once a test. What is asked so is kept under the tests that
want it, and they find it in the store.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import replace

import pytest

from pytest_llmbench.errors import LlmbenchError, ServerError
from pytest_llmbench.evaluations.asking import Answer
from pytest_llmbench.evaluations.items import SampleTest
from pytest_llmbench.evaluations.judged import judged
from pytest_llmbench.evaluations.jury import Behalf, Jury, matter_of
from pytest_llmbench.session import Session


class Group:
    """Tests that follow each other, of one use case and one model.

    Args:
        jury: who judges all of them.
    """

    def __init__(self, jury: Jury) -> None:
        self._session = jury.session
        self._jury = jury
        self._tests: list[SampleTest] = []
        self._asked = False

    def __len__(self) -> int:
        return len(self._tests)

    def add(self, test: SampleTest) -> None:
        """One more test."""
        self._tests.append(test)
        test.ask_group = self.ask

    def takes(self, test: SampleTest) -> bool:
        """Whether a test asks the same model, and has the same judges."""
        return self._tests[0].asking is test.asking

    def ask(self) -> None:
        """Ask for all of them, where that was not done yet; who gets no answer so meets the error when it runs."""
        if self._asked:
            return
        self._asked = True
        with suppress(ServerError):
            answers = self._ask_subject()
            for model in self._jury.local_models:
                self._ask_judge(model, answers)

    def _ask_subject(self) -> Mapping[str, Sequence[Answer]]:
        found: dict[str, Sequence[Answer]] = {}
        for test in self._tests:
            with self._on_behalf_of(test):
                found[test.key], _ = test.asking.answers(test.asked_sample, (), test.asking.prepared.first_trials)
        self._tests[0].asking.served.let_go()
        return found

    def _ask_judge(self, model: str, answers: Mapping[str, Sequence[Answer]]) -> None:
        alone = replace(self._jury, judging=replace(self._jury.judging, models=(model,)))
        for test in (test for test in self._tests if test.key in answers):
            case = test.asking.prepared.case
            with self._on_behalf_of(test):
                matters = [matter_of(case, alone.rubric, test.sample, each.reply) for each in answers[test.key]]
                judged(alone, matters, [Behalf(test.key, test.use_case)] * len(matters))
        self._session.let_go(self._session.spec(model))

    @contextmanager
    def _on_behalf_of(self, test: SampleTest) -> Iterator[None]:
        """What is asked within is kept as the test's own; an error is left for it to meet, but that of a server."""
        session, running = self._session, self._session.asking()
        session.context = replace(running, key=test.key, owners=[], reply_ids=[], measurement_ids=[])
        try:
            with session.bookings.ahead_of(test.key):
                yield
        except ServerError:
            raise
        except LlmbenchError:
            pass
        finally:
            session.context = running


def group(session: Session, items: Sequence[pytest.Item], *, most: int | None) -> None:
    """Find the tests that are asked together.

    Args:
        session: this process's.
        items: the tests, in the order in which they run.
        most: how many may be asked at once; None is no limit.
    """
    current: Group | None = None
    for item in items:
        jury = item.asking.prepared.jury if isinstance(item, SampleTest) else None
        if not isinstance(item, SampleTest) or jury is None or not _are_several(session, item, jury):
            current = None
            continue
        if current is None or not current.takes(item) or len(current) == most:
            current = Group(jury)
        current.add(item)


def _are_several(session: Session, test: SampleTest, jury: Jury) -> bool:
    """Whether both the model under test and a judge that is another one run on this machine."""
    return not session.is_remote(test.model_name) and bool({*jury.local_models} - {test.model_name})
