"""Files that tests are made of."""

from __future__ import annotations

import warnings
from abc import abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from pathlib import Path, PurePath

import pytest

from pytest_llmbench import stories, usecases
from pytest_llmbench.display import terminal_safe
from pytest_llmbench.errors import GroundTruthWarning, NoUseCaseWarning, UsageError
from pytest_llmbench.evaluations.asking import Asking
from pytest_llmbench.evaluations.items import EvaluationTest, SampleTest, StoryTest
from pytest_llmbench.evaluations.prepared import LOOK, Prepared, models_of, refuse_doubtful, relative_to_root
from pytest_llmbench.own_tests import PAGE
from pytest_llmbench.session import Session

_PROBLEMS_SHOWN = 5


class OwnFile(pytest.File):
    """A file that we make tests of."""

    session_of_ours: Session

    def collect(self) -> Iterable[pytest.Item]:
        """The tests.

        Raises:
            CollectError: the file or what belongs to it cannot be used; with file and line.
        """
        try:
            return list(self.tests())
        except (UsageError, GroundTruthWarning, NoUseCaseWarning) as error:  # a warning: by -W error
            raise self.CollectError(terminal_safe(str(error))) from None

    @abstractmethod
    def tests(self) -> Iterator[EvaluationTest]:
        """The tests; what `collect` raises is a `UsageError` here."""

    def tell(self, find: Callable[[], Sequence[object]]) -> None:
        """Tell what the lint finds, as the setting `lint` says; a warning once, whatever number of processes there are.

        Args:
            find: gives the problems, each with its place.

        Raises:
            UsageError: there are some, and they are to be errors.
        """
        refuse_doubtful(self.session_of_ours, find)
        if self.session_of_ours.settings.lint == "warn":
            self._warn_of(find)

    def _warn_of(self, find: Callable[[], Sequence[object]]) -> None:
        is_first = getattr(self.config, "workerinput", {}).get("workerid", "gw0") == "gw0"
        if not is_first or not (problems := find()):
            return
        lines = [terminal_safe(str(problem)) for problem in problems[:_PROBLEMS_SHOWN]]
        if len(problems) > len(lines):
            folder = PurePath(relative_to_root(self.session_of_ours, self.path)).parent
            lines.append(f"and {len(problems) - len(lines)} more: llmbench usecase check {folder}")
        self.say(GroundTruthWarning("\n  ".join([LOOK, *lines])))

    def say(self, warning: UserWarning) -> None:
        """Warn of something in this file."""
        warnings.warn_explicit(warning, None, str(self.path), 1)


class UseCaseFile(OwnFile):
    """A USE-CASE.md: a test a model and sample."""

    def tests(self) -> Iterator[SampleTest]:
        """As `OwnFile` says."""
        session = self.session_of_ours
        if not usecases.is_page(self.path):
            self.say(NoUseCaseWarning("no use case: there is neither front matter nor `# Use Case:`"))
            return
        case = usecases.load(self.path)
        prepared = Prepared(session, case, models_of(session, case.models, self.path))
        askings = [Asking(prepared, model, name) for model in prepared.models for name in prepared.variants(model)]
        samples = prepared.samples
        for asking in askings:
            asking.refuse(samples)
        self.tell(prepared.problems)
        for asking in askings:
            for sample in samples:
                yield SampleTest.of(self, asking, sample)


class StoryFile(OwnFile):
    """A story file: a test a model and story; models are those of a use case beside it, where no others are named."""

    def tests(self) -> Iterator[StoryTest]:
        """As `OwnFile` says."""
        session, beside = self.session_of_ours, self.path.with_name(PAGE)
        own = usecases.load(beside).models if beside.is_file() and not session.settings.models else ()
        models = models_of(session, own, self.path)
        told = stories.read(self.path)
        self.tell(lambda: stories.lint(told))
        for model in models:
            for story in told:
                yield StoryTest.telling(self, session, model, story)


def collector_of(parent: pytest.Collector, path: Path, session: Session) -> pytest.File:
    """The collector of a file that `own_tests.is_own_file`."""
    kind = UseCaseFile if path.name == PAGE else StoryFile
    found: OwnFile = kind.from_parent(parent, path=path)
    found.session_of_ours = session
    return found
