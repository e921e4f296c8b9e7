"""Samples that several models of this machine answer and judge: all replies first, then the verdicts judge by judge.

So a machine with room for one of them loads each once, not once a test. What is asked so is kept under the tests that
want it, and they find it in the store. Under xdist one worker at a time asks, for all tests of a group, whoever runs
them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext, suppress
from dataclasses import replace

import pytest
from filelock import FileLock

from pytest_llmbench.errors import LlmbenchError, ServerError
from pytest_llmbench.evaluations.asking import Answer
from pytest_llmbench.evaluations.items import SampleTest
from pytest_llmbench.evaluations.judged import judged, verdicts_on
from pytest_llmbench.evaluations.jury import Behalf, Jury, matter_of
from pytest_llmbench.evaluations.telling import scores_of
from pytest_llmbench.evaluations.until_certain import further
from pytest_llmbench.session import Session


class Group:
    """Tests of one use case that follow each other.

    Args:
        jury: who judges all of them.
        turn: held while they are asked for; those whom another process asked for before are found in the store.
    """

    def __init__(self, jury: Jury, turn: AbstractContextManager[object]) -> None:
        self._session = jury.session
        self._jury = jury
        self._turn = turn
        self._tests: list[SampleTest] = []
        self._asked = False

    def __len__(self) -> int:
        return len(self._tests)

    def add(self, test: SampleTest) -> None:
        """One more test."""
        self._tests.append(test)
        test.ask_group = self.ask

    def takes(self, test: SampleTest) -> bool:
        """Whether a test is of the same use case, and so has the same judges."""
        return self._tests[0].asking.prepared is test.asking.prepared

    def ask(self) -> None:
        """Ask for all of them, where that was not done yet; who gets no answer so meets the error when it runs."""
        if self._asked:
            return
        self._asked = True
        with self._turn, suppress(ServerError):
            trials: Mapping[str, int] = {test.key: test.asking.prepared.first_trials for test in self._tests}
            while trials:
                answers = self._ask_subjects(trials)
                for model in self._jury.local_models:
                    self._ask_judge(model, answers)
                trials = self._more(answers)

    def _ask_subjects(self, trials: Mapping[str, int]) -> Mapping[str, Sequence[Answer]]:
        """Model by model; what was asked before is found in the store."""
        found: dict[str, Sequence[Answer]] = {}
        models = list(dict.fromkeys(test.model_name for test in self._tests))
        for test in sorted(self._tests, key=lambda test: models.index(test.model_name)):
            if test.key not in trials:
                continue
            with self._on_behalf_of(test):
                found[test.key], _ = test.asking.answers(test.asked_sample, (), trials[test.key])
        return found

    def _ask_judge(self, model: str, answers: Mapping[str, Sequence[Answer]]) -> None:
        alone = replace(self._jury, judging=replace(self._jury.judging, models=(model,)))
        for test in (test for test in self._tests if test.key in answers):
            case = test.asking.prepared.case
            with self._on_behalf_of(test):
                matters = [matter_of(case, alone.rubric, test.sample, each.reply) for each in answers[test.key]]
                judged(alone, matters, [Behalf(test.key, test.use_case, sample=test.sample.id)] * len(matters))

    def _more(self, answers: Mapping[str, Sequence[Answer]]) -> Mapping[str, int]:
        """The tests whose verdict is not certain yet → how many trials they need then, at the least."""
        found: dict[str, int] = {}
        for test in (test for test in self._tests if test.key in answers):
            asking, said = test.asking, answers[test.key]
            if len(said) == asking.prepared.case.repeats:
                continue
            with self._on_behalf_of(test):
                behalf = Behalf(test.key, test.use_case, sample=test.sample.id)
                verdicts = verdicts_on(asking, test.sample, said, behalf)
                if size := further(asking.prepared.case, scores_of(asking, test.sample, said, verdicts)):
                    found[test.key] = len(said) + size
        return found

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


def group(session: Session, items: Sequence[pytest.Item], *, most: int | None, is_worker: bool) -> None:
    """Find the tests that are asked together.

    Args:
        session: this process's.
        items: the tests, in the order in which they run.
        most: how many may be asked at once; None is no limit.
        is_worker: whether other processes have the same tests, and find the same groups.
    """
    turn = _turn(session) if is_worker else nullcontext()
    current: Group | None = None
    for item in items:
        jury = item.asking.prepared.jury if isinstance(item, SampleTest) else None
        if not isinstance(item, SampleTest) or jury is None or not _are_several(session, item, jury):
            current = None
            continue
        if current is None or not current.takes(item) or len(current) == most:
            current = Group(jury, turn)
        current.add(item)


def _turn(session: Session) -> FileLock:
    """One for all groups of the run: two that were asked for at once would drive each other's models out. It is let go
    with its holder; beside the logs, as whoever cleans up the folder where processes meet need not know of it."""
    folder = session.folder / "logs" / session.run_id
    folder.mkdir(parents=True, exist_ok=True)
    return FileLock(folder / "groups.lock")


def _are_several(session: Session, test: SampleTest, jury: Jury) -> bool:
    """Whether more than one of those that answer and judge in its use case run on this machine."""
    subjects = {name for name in test.asking.prepared.models if not session.is_remote(name)}
    return bool(jury.local_models) and len(subjects | {*jury.local_models}) > 1
