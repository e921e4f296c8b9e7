"""Tests in Python about a use case: `@pytest.mark.usecase` beside a folder's page, or with its path."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from os.path import normpath
from pathlib import Path
from typing import Any

import pytest

from pytest_llmbench import usecases
from pytest_llmbench.asker.question import Question
from pytest_llmbench.clients.request import Message
from pytest_llmbench.errors import UsageError
from pytest_llmbench.evaluations.asking import Answer, Asking
from pytest_llmbench.evaluations.items import key_of
from pytest_llmbench.evaluations.judged import verdicts_on
from pytest_llmbench.evaluations.jury import Behalf
from pytest_llmbench.evaluations.prepared import Prepared, models_of, refuse_doubtful
from pytest_llmbench.evaluations.telling import blank, evaluated, explained, outcome_of
from pytest_llmbench.gate_marks import gates_of
from pytest_llmbench.records import Evaluation, Outcome, Reply, Sample, Score
from pytest_llmbench.results.under_gates import is_counted as counted
from pytest_llmbench.session import Session
from pytest_llmbench.usecases import UseCase

MARK = "usecase"
_PREPARED: pytest.StashKey[dict[tuple[Path, tuple[str, ...]], Prepared]] = pytest.StashKey()
_ASKINGS: pytest.StashKey[dict[tuple[Path, str], Asking]] = pytest.StashKey()


def page_of(item: pytest.Item) -> Path:
    """The page that a test's `usecase` mark means: of the folder it names, or beside the test's file.

    Raises:
        UsageError: it names none.
    """
    mark = item.get_closest_marker(MARK)
    if mark is None:
        raise UsageError(
            "the test is about no use case",
            hint="mark it with @pytest.mark.usecase, beside a USE-CASE.md, or @pytest.mark.usecase('path/to/folder')",
        )
    if mark.kwargs or len(mark.args) > 1 or not all(isinstance(each, str | Path) for each in mark.args):
        raise UsageError("@pytest.mark.usecase takes the path of a folder, or nothing: the test's own folder")
    # Links are left as they are: so the page's path is the one under which pytest collects it.
    folder = Path(normpath(item.path.parent / (mark.args[0] if mark.args else ".")))
    return folder if folder.name == usecases.PAGE else folder / usecases.PAGE


def prepared_of(item: pytest.Item, session: Session) -> Prepared:
    """The use case of a test, with the models that it names itself.

    Raises:
        UsageError: the page or its data cannot be used; with file and line.
    """
    own = tuple(name for mark in reversed([*item.iter_markers("models")]) for name in mark.args)
    page = page_of(item)
    known = item.config.stash.setdefault(_PREPARED, {})
    if (page, own) not in known:
        case = usecases.load(page)
        prepared = Prepared(session, case, own or models_of(session, case.models, page))
        refuse_doubtful(session, prepared.problems)  # the page's own file may not be collected
        known[page, own] = prepared
    return known[page, own]


def asking_of(item: pytest.Item, session: Session, model: str) -> Asking:
    """How the model of a test is asked."""
    page = page_of(item)
    known = item.config.stash.setdefault(_ASKINGS, {})
    if (page, model) not in known:
        known[page, model] = Asking(prepared_of(item, session), model, "")
    if session.context is not None:
        session.context.use_case = known[page, model].prepared.case.name  # for budgets by use case
    return known[page, model]


def question_of(item: pytest.Item, session: Session, model: str, sample: Sample) -> Sequence[Question]:
    """What a test that takes `reply` asks: the very questions of the page's own test, which are answered once; none
    where the sample has to be cut, since pieces are asked on the test's own behalf."""
    asking = asking_of(item, session, model)
    if not asking.is_whole(sample):
        return ()
    return asking.foreseen(sample, key_of(asking, sample), repeats=1)


def reply_of(item: pytest.Item, session: Session, model: str, sample: Sample) -> Reply:
    """What the model answers, once; the input cut into pieces where it has to be."""
    asking = asking_of(item, session, model)
    context = session.asking()
    context.evaluation = blank(asking, sample)
    return asking.answer_shared(sample, key_of(asking, sample)).reply


def score_of(item: pytest.Item, session: Session, model: str, sample: Sample, reply: Reply) -> Score:
    """What the declared validators and judges say of a reply, as one score with theirs as its parts."""
    asking = asking_of(item, session, model)
    context = session.asking()
    answers = [Answer(reply, (reply,) if reply.id else ())]
    behalf = Behalf(key_of(asking, sample), asking.prepared.case.name, shared=True, sample=sample.id)
    found = evaluated(asking, sample, answers, verdicts=verdicts_on(asking, sample, answers, behalf))
    context.evaluation = found
    return whole(found, reply.text)


def whole(found: Evaluation, text: str) -> Score:
    """An evaluation as one score."""
    is_scored = outcome_of(found) is not Outcome.UNSCORED
    reason = "" if found.passed else explained(found, text)
    return Score(
        found.use_case,
        state="scored" if is_scored else "unscored",
        value=found.value,
        passed=found.passed,
        reason=reason,
        executed=found.executed,
        advisory=found.is_only_advised,
        parts=found.scores,
    )


def is_counted(item: pytest.Item, session: Session) -> bool:
    """Whether gates count the test's sample where it is wrong, so that it fails nothing by itself."""
    model = session.asking().model
    case = asking_of(item, session, model).prepared.case
    return counted(model, case.name, own=case.gates, others=[*session.config.all_gates, *gates_of(item)])


class CaseInTest:
    """A use case as a test in Python holds it; `model.ask_all(usecase)` asks all its samples.

    Args:
        asking: how the test's model is asked.
    """

    def __init__(self, asking: Asking) -> None:
        self._asking = asking

    def __repr__(self) -> str:
        return f"<use case {self.name!r}>"

    @property
    def name(self) -> str:
        return self.case.name

    @property
    def case(self) -> UseCase:
        """All that its folder says."""
        return self._asking.prepared.case

    @property
    def samples(self) -> Sequence[Sample]:
        """Those that are asked."""
        return self._asking.prepared.samples

    @property
    def options(self) -> dict[str, Any]:
        """How samples are asked, as for `Model.ask`."""
        return dict(self.case.request)

    def __len__(self) -> int:
        return len(self.samples)

    def __iter__(self) -> Iterator[Sequence[Message]]:
        """What is asked, sample by sample."""
        return (self._asking.messages(sample) for sample in self.samples)

    def shared_questions(self, model: str) -> list[Question]:
        """What the page's own tests ask this model first, a question a sample; none where one has to be cut."""
        if model != self._asking.model:
            return []
        asking = self._asking
        if not all(map(asking.is_whole, self.samples)):
            return []
        return [q for sample in self.samples for q in asking.foreseen(sample, key_of(asking, sample), repeats=1)]

    def score(self, sample: Sample, reply: Reply) -> Score:
        """What the declared validators say of a reply, as one score."""
        return whole(evaluated(self._asking, sample, [Answer(reply, (reply,))]), reply.text)
