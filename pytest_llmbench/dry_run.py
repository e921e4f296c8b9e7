"""`--dry-run`: what the selected tests are going to ask, and what that is expected to cost. Nothing is run or kept."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import chain

import pytest

from pytest_llmbench import gate_marks
from pytest_llmbench.ahead import judge_questions, questions, tell_further
from pytest_llmbench.asker import cassette
from pytest_llmbench.asker.batch_questions import pending
from pytest_llmbench.asker.cached import cache_key_of
from pytest_llmbench.asker.estimates import Estimate, estimate
from pytest_llmbench.asker.question import Question
from pytest_llmbench.asker.taken_over import TakenOver
from pytest_llmbench.cache.opening import held
from pytest_llmbench.fixtures import asked_of_us
from pytest_llmbench.own_tests import OwnTest
from pytest_llmbench.reports import dry_run as shown
from pytest_llmbench.reports.terminal_lines import Line
from pytest_llmbench.samples import PLANNED
from pytest_llmbench.session import Session
from pytest_llmbench.store import Store
from pytest_llmbench.store.replies import Place
from pytest_llmbench.testitems import model_of


def foreseen(session: Session, items: Sequence[pytest.Item], *, width: int) -> list[Line]:
    """What is printed in place of running the tests.

    Args:
        session: this process's; its store is not opened, so that no run is made.
        items: the selected tests that are ours.
        width: columns of the terminal.

    Raises:
        UsageError: the cassette or the results database cannot be read.
        pytest.UsageError: a test is marked with what is no gate.
    """
    gate_marks.check(items)
    cells = [item for item in items if "matrix_cell" in asked_of_us(item)]
    others = [item for item in items if item not in cells]
    found = _of_matrix(session, cells, width) if cells else []
    return [*found, *_of_questions(session, others, width)] if others or not found else found


def _of_matrix(session: Session, items: Sequence[pytest.Item], width: int) -> list[Line]:
    from pytest_llmbench.matrix_tests.foreseeing import foreseen_cells  # noqa: PLC0415 - only where there is a matrix
    from pytest_llmbench.matrix_tests.items import selected  # noqa: PLC0415 - as above
    from pytest_llmbench.reports import matrix_plan  # noqa: PLC0415 - as above

    return matrix_plan.lines(foreseen_cells(session, selected(items)), width=width)


def _of_questions(session: Session, items: Sequence[pytest.Item], width: int) -> list[Line]:
    tell_further(session, items)
    planned = [*questions(session, items, at_most=True), *judge_questions(items)]
    remote = [item for item in items if (model := model_of(item)) and session.is_remote(model)]
    unplanned = sum(1 for item in remote if not _is_planned(session, item))
    later = sum(item.later(session) for item in remote if isinstance(item, OwnTest))
    ways = [way for item in items if isinstance(item, OwnTest) for way in item.judge_ways()]
    found = _estimated(session, planned, ways)
    return shown.lines(found, width=width, tests=len(items), unplanned=unplanned, later=later)


def _is_planned(session: Session, item: pytest.Item) -> bool:
    return bool(item.questions(session)) if isinstance(item, OwnTest) else PLANNED in item.stash


def _estimated(session: Session, planned: Sequence[Question], ways: Sequence[Sequence[Question]]) -> Estimate:
    settings, replay = session.settings, cassette.replayed(session.resolved)
    cached = _cached(session, [*planned, *chain(*ways)])
    path = session.folder / "results.db"
    if not path.exists():
        return estimate(planned, settings=settings, replay=replay, cached=cached, ways=ways)
    with Store.open(path) as store:
        stored = set(store.stored_replies(session.run_id)) if session.identity.resuming else set[Place]()
        if session.rejudges:
            taken = TakenOver(store, session.identity.source)
            planned = [question for question in planned if taken.answers(question) is not None]
            stored |= {each.place for each in (*planned, *chain(*ways)) if taken.answers(each)}
        lying = pending(store, session.run_id) if session.identity.resuming else ()
        return estimate(
            planned,
            settings=settings,
            store=store,
            stored=stored,
            replay=replay,
            cached=cached,
            lying=lying,
            ways=ways,
        )


def _cached(session: Session, planned: Sequence[Question]) -> set[str]:
    """The ids of those that the response cache answers."""
    keys = {question.id: cache_key_of(question) for question in planned}
    found = held(session.resolved, [key for key in keys.values() if key])
    return {id_ for id_, key in keys.items() if key in found}
