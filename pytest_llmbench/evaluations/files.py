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
from pytest_llmbench.evaluations import calibration_file
from pytest_llmbench.evaluations.asking import Asking
from pytest_llmbench.evaluations.calibrating import tests_of
from pytest_llmbench.evaluations.items import EvaluationTest, SampleTest, StoryTest
from pytest_llmbench.evaluations.planting import CalibrationTest, riding_along
from pytest_llmbench.evaluations.prepared import LOOK, Prepared, models_of, refuse_doubtful, relative_to_root
from pytest_llmbench.own_tests import PAGE, STORY
from pytest_llmbench.session import Session
from pytest_llmbench.usecases import UseCase

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

    @property
    def is_first(self) -> bool:
        """Whether this process tells what all that collect the same tests could tell."""
        return bool(getattr(self.config, "workerinput", {}).get("workerid", "gw0") == "gw0")

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
        if not self.is_first or not (problems := find()):
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
    """A USE-CASE.md: a test a model and sample; where it is wanted, one a judge and planted reply."""

    def tests(self) -> Iterator[EvaluationTest]:
        """As `OwnFile` says."""
        session = self.session_of_ours
        if not usecases.is_page(self.path):
            self.say(NoUseCaseWarning("no use case: there is neither front matter nor `# Use Case:`"))
            return
        case = usecases.load(self.path)
        prepared = Prepared(session, case, models_of(session, case.models, self.path))
        _refuse_unjudged(prepared.case)
        askings = [Asking(prepared, model, name) for model in prepared.models for name in prepared.variants(model)]
        samples = prepared.samples
        for asking in askings:
            asking.refuse(samples)
        self.tell(prepared.problems)
        self._tell_left_out(prepared)
        for asking in askings:
            for sample in samples:
                yield SampleTest.of(self, asking, sample)
            for done in prepared.damaged:
                for one in done.samples:
                    yield SampleTest.of(self, asking, one.scored, one)
        yield from riding_along(self, prepared)

    def _tell_left_out(self, prepared: Prepared) -> None:
        """Which samples corruptions can do nothing to: those are asked clean, and paired with nothing."""
        for done in prepared.damaged if self.is_first else ():
            if left := done.left_out:
                some = ", ".join(left[:_PROBLEMS_SHOWN]) + (" …" if len(left) > _PROBLEMS_SHOWN else "")
                count = f"{len(left):,} of {len(prepared.samples):,} samples"
                self.session_of_ours.say(f"{prepared.case.name}: {done.label} cannot be done to {count}: {some}")


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


class CalibrationFile(OwnFile):
    """A file of labels: a test a judge and label, and a judge and pair."""

    def tests(self) -> Iterator[CalibrationTest]:
        """As `OwnFile` says."""
        found = calibration_file.load(self.path)
        if self.is_first and 0 < len(found.labels) < (wanted := self.session_of_ours.config.judges.labels):
            place = relative_to_root(self.session_of_ours, self.path)
            self.session_of_ours.say(
                f"{place}: {len(found.labels)} labels, and a judge counts from {wanted} on: by these it only advises"
            )
        yield from tests_of(self, self.session_of_ours, found)


def _refuse_unjudged(case: UseCase) -> None:
    """A rubric that nobody goes by is no mistake where something else scores replies; else all calls are for nothing.

    Raises:
        UsageError: nothing else does.
    """
    if case.rubric and not case.judging and not case.validators:
        raise case.page.error(
            ("rubric",),
            "nobody judges by it, and nothing else scores a reply",
            hint="name a judge in the front matter (judge: demo/judge), or in the call (--llmbench-judge demo/judge)",
        )


def _kind(name: str) -> type[OwnFile]:
    if name == PAGE:
        return UseCaseFile
    return StoryFile if name.endswith(STORY) else CalibrationFile


def collector_of(parent: pytest.Collector, path: Path, session: Session) -> pytest.File:
    """The collector of a file that `own_tests.is_own_file`."""
    found: OwnFile = _kind(path.name).from_parent(parent, path=path)
    found.session_of_ours = session
    return found
