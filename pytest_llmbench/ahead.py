"""What the selected tests are going to ask of API models: known when collection has ended, asked ahead of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import suppress
from itertools import islice
from typing import TYPE_CHECKING, TypeGuard

import pytest

from pytest_llmbench import gate_marks
from pytest_llmbench.asker.caps import caps_of
from pytest_llmbench.asker.question import Question
from pytest_llmbench.asker.worst_case import worst_case_of
from pytest_llmbench.bookings import place_hash
from pytest_llmbench.display import terminal_safe
from pytest_llmbench.errors import OverBudgetError, UsageError
from pytest_llmbench.fixtures import asked_of_us
from pytest_llmbench.options import BY_NAME
from pytest_llmbench.own_tests import OwnTest
from pytest_llmbench.samples import PLANNED, declared, request_for
from pytest_llmbench.serving import subject_of
from pytest_llmbench.session import Session
from pytest_llmbench.testitems import judges_of, model_of, sample_of, stable_key

if TYPE_CHECKING:
    from pytest_llmbench.evaluations.following import Follower
    from pytest_llmbench.evaluations.items import SampleTest

WINDOW = 8
"""How many replies are asked for ahead of the tests where the first failure may end the session."""

_AT_FIRST = 256
"""Tests whose questions are handed over before the next ones are written down: asking begins with them."""


def ask_ahead(
    session: Session, items: Sequence[pytest.Item], *, may_stop: bool, share: tuple[int, int] = (0, 1)
) -> None:
    """Have the replies asked for that tests are going to take.

    Args:
        session: this process's.
        items: the tests, in the order in which they run.
        may_stop: whether a failure may end the session (`-x`, `--maxfail`), or tests may be left out: then little is
            asked ahead.
        share: the part of the tests that is this process's to see to, where several have the same: (which, of how
            many). A test whose question another one planned finds it by its id.
    """
    if share[0] == 0:
        tell_unasked(session, items)
        tell_further(session, items)
    window = session.settings.look_ahead or (WINDOW if may_stop else None)
    if window is not None:
        if all_of_them := list(_payable(session, items)):
            session.asker.plan(all_of_them, window=window)
        return
    # Of a batch's questions each process knows all: the first that wants a reply submits them as one.
    planned = _payable(session, items if session.settings.batch else items[share[0] :: share[1]])
    while some := list(islice(planned, _AT_FIRST)):
        session.asker.plan(some)


def follow(
    session: Session, items: Sequence[pytest.Item], *, may_stop: bool, share: tuple[int, int] = (0, 1)
) -> Follower | None:
    """Have judges asked as replies come; arguments as for `ask_ahead`. None where there is nothing to follow."""
    settings = session.settings
    if may_stop or settings.look_ahead or settings.batch or not any(map(_is_followed, items)):
        return None
    from pytest_llmbench.evaluations.following import Follower  # noqa: PLC0415 - only where somebody judges

    follower = Follower(session)
    follower.begin(item for item in items[share[0] :: share[1]] if _is_followed(item))
    return follower


def group_local(session: Session, items: Sequence[pytest.Item], *, may_stop: bool, is_worker: bool) -> None:
    """Have the models of this machine, where one answers and another judges, or several judge, asked in turn.

    Args:
        session: this process's.
        items: the tests, in the order in which they run.
        may_stop: whether a failure may end the session: then few are asked ahead.
        is_worker: whether others run some of these tests.
    """
    named = {judge for item in items if _is_followed(item) for judge in item.judges}
    judges = {model for name in named for model in session.routing.firsts(name)}
    if not session.settings.keep_prompts or all(map(session.is_remote, judges)):
        return
    from pytest_llmbench.evaluations.grouping import group  # noqa: PLC0415 - only where somebody judges

    most = session.settings.look_ahead or (WINDOW if may_stop else None)
    group(session, items, most=most, is_worker=is_worker)


def _is_followed(item: pytest.Item) -> TypeGuard[SampleTest]:
    return isinstance(item, OwnTest) and bool(item.judges) and not item.has_reply_at_hand


def stop_early(session: Session, items: Sequence[pytest.Item], *, is_worker: bool) -> bool:
    """As `evaluations.leaving_out.stop_early`; False where no test wants it."""
    if not any(isinstance(item, OwnTest) and (session.settings.stop_early or item.may_be_left_out) for item in items):
        return False
    from pytest_llmbench.evaluations import leaving_out  # noqa: PLC0415 - not in sessions without use cases

    return leaving_out.stop_early(session, items, is_worker=is_worker)


def tell_further(session: Session, items: Sequence[pytest.Item]) -> None:
    """Tell what asking again with damaged inputs costs, where tests do: whoever reads it can still interrupt."""
    if not session.rejudges and any(getattr(item, "damaged", None) for item in items):
        from pytest_llmbench.evaluations.further import further_calls  # noqa: PLC0415 - not in sessions without

        session.say(further_calls(session, items))


def tell_unasked(session: Session, items: Sequence[pytest.Item]) -> None:
    """Tell which models of the command line no test asks: tests that name theirs by a mark do not go by it.

    Raises:
        pytest.UsageError: nobody knows one of them.
    """
    if not (left := ", ".join(_unasked(session, items))):
        return
    if all(item.get_closest_marker("models") is None for item in items):
        session.say(f"no selected test asks {left}")
        return
    session.say(
        f"no test of this run asks {left}: --models stands in for the models of use cases, stories and the matrix, and "
        "a test with a mark of its own, @pytest.mark.models(...), asks those"
    )


def _unasked(session: Session, items: Sequence[pytest.Item]) -> list[str]:
    """What holds for many sessions, as `defaults:` of llmbench.yaml, is left out: each of them uses what it can."""
    if session.resolved.origins["models"].source != BY_NAME["models"].flag:
        return []
    names = {_named_in(item) for item in items}
    asked = names | {name.rpartition(":")[0] for name in names}
    unasked = [name for name in session.settings.models if name not in asked]
    try:
        known = [name if session.is_remote(name) else session.local.known(name) for name in unasked]
    except UsageError as error:
        raise pytest.UsageError(terminal_safe(f"--llmbench-models: {error}")) from error
    return [name for name in known if name not in asked]


def _named_in(item: pytest.Item) -> str:
    cell = getattr(item, "callspec", None) and item.callspec.params.get("matrix_cell")  # type: ignore[attr-defined]
    return cell.name if cell else model_of(item)


def share_of(config: pytest.Config) -> tuple[int, int]:
    """Which of how many processes with the same tests this is; one that takes a dead one's place sees to all."""
    worker = getattr(config, "workerinput", {})
    number, count = worker.get("workerid", "")[2:], int(worker.get("workercount", 1))
    return (int(number), count) if number.isdecimal() and int(number) < count else (0, 1)


def questions(session: Session, items: Sequence[pytest.Item], *, at_most: bool = False) -> Iterator[Question]:
    """What the tests that take `reply` will ask of API models, each noted with its test.

    Args:
        session: this process's.
        items: the tests.
        at_most: with what is only asked where the answers before it leave something open.
    """
    for item in items:
        if isinstance(item, OwnTest):
            yield from item.at_most(session) if at_most else item.questions(session)
            continue
        if item.get_closest_marker("usecase") is not None:
            yield from _of_use_case(session, item)
            continue
        question = item.stash.get(PLANNED, None) or _question(session, item)
        if question is not None:
            item.stash[PLANNED] = question
            yield question


def _payable(session: Session, items: Sequence[pytest.Item]) -> Iterator[Question]:
    """As `questions`, without tests whose model there is no money to try out for: they meet that themselves."""
    for item in items:
        with suppress(OverBudgetError):
            yield from list(questions(session, [item]))


def _of_use_case(session: Session, item: pytest.Item) -> Iterator[Question]:
    """As `_question`, of a test that is marked with a use case."""
    from pytest_llmbench.evaluations.marked import question_of  # noqa: PLC0415 - not in sessions without use cases

    model, sample = model_of(item), sample_of(item)
    asks = sample is not None and "reply" in asked_of_us(item) and model and session.is_remote(model)
    if sample is not None and asks and not may_not_run(item):
        for question in question_of(item, session, model, sample):
            item.stash[PLANNED] = question
            yield question


def _question(session: Session, item: pytest.Item) -> Question | None:
    model, sample = model_of(item), sample_of(item)
    if sample is None or "reply" not in asked_of_us(item) or not model or not session.is_remote(model):
        return None
    if may_not_run(item) or (target := session.target(model)) is None:
        return None
    request = request_for(model, sample, declared(item, session.datasets))
    fitting = session.fit(target, request)
    return Question(fitting, request, stable_key(item), place_hash(request, subject_of(target)), sample=sample.id)


def judge_questions(items: Sequence[pytest.Item], *, every: bool = False) -> Iterator[Question]:
    """What judges are expected to be asked of the replies of these tests; `every`: by all whom a route may ask."""
    for item in items:
        if isinstance(item, OwnTest):
            yield from item.judge_questions(every=every)


def check_models(session: Session, items: Sequence[pytest.Item]) -> None:
    """Refuse a session one of whose tests cannot ask its model. Not at collection: listing tests needs no key.

    Raises:
        pytest.UsageError: the key or the address of a provider is missing, nobody knows a model of the command line,
            or a test is marked with what is no gate.
    """
    gate_marks.check(items)
    _unasked(session, items)
    askers: dict[str, list[pytest.Item]] = {}
    for item in items:
        for model in asked_models(session, item):
            askers.setdefault(model, []).append(item)
    for model, tests in askers.items():
        try:
            session.providers.check(model)
        except UsageError as error:
            if not all(map(may_not_run, tests)):
                raise pytest.UsageError(terminal_safe(str(error))) from error


def asked_models(session: Session, item: pytest.Item) -> tuple[str, ...]:
    """The models that a test asks, judges among them.

    Raises:
        pytest.UsageError: nothing says who judges, or by what.
    """
    try:
        judges = (model for name in judges_of(item, session) for model in session.routing.members(name))
        return tuple(judges) if session.rejudges else (model_of(item), *judges)
    except UsageError as error:
        raise pytest.UsageError(terminal_safe(str(error))) from error


def check_priced(session: Session, items: Sequence[pytest.Item]) -> None:
    """Refuse what a cap could not hold, by the first sample of each dataset, before anything is spent.

    Raises:
        UsageError: a model has no price, or its requests no `max_tokens`; or no money is left to try it out.
    """
    caps = caps_of(session.resolved)
    if session.settings.replay or not caps:
        return
    firsts = {(model_of(item), _data_of(item)): item for item in reversed(items)}
    some = list(firsts.values())
    subjects = () if session.rejudges else questions(session, some)
    try:
        for question in filter(caps.hold, (*subjects, *judge_questions(some, every=True))):
            worst_case_of(question)
    except OverBudgetError as error:
        raise UsageError(error.message, hint=error.hint) from error


def _data_of(item: pytest.Item) -> object:
    """What stands for the data that a test's sample is of."""
    if isinstance(item, OwnTest):
        return item.use_case
    return id(item.get_closest_marker("usecase") or item.get_closest_marker("dataset"))


def may_not_run(item: pytest.Item) -> bool:
    """Whether a mark may keep the test from running; such a reply is asked for when its test wants it."""
    return any(mark.name in {"skip", "skipif"} or mark.kwargs.get("run") is False for mark in item.iter_markers())
