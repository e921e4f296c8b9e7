"""What marks give to tests: the models and the samples that a test is run with."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, TypeVar

import pytest

from pytest_llmbench.display import terminal_safe
from pytest_llmbench.errors import UsageError
from pytest_llmbench.records import Sample
from pytest_llmbench.samples import dataset_of
from pytest_llmbench.session import Session

if TYPE_CHECKING:
    from pytest_llmbench.evaluations.prepared import Prepared


Found = TypeVar("Found")


def names(session: Session, test: pytest.Item) -> list[str]:
    """The models of a `models` or `usecase` mark.

    Raises:
        CollectError: nobody knows one; it ends the collection of the test's file.
    """
    marks = list(test.iter_markers("models"))
    if not marks:
        return list(_about(session, test).models)
    named = [name for mark in reversed(marks) for name in mark.args]
    if wrong := [name for name in named if not isinstance(name, str)]:
        raise pytest.Collector.CollectError(f"models() takes names, one after the other, not {wrong[0]!r}")
    try:
        known = [name if session.is_remote(name) else session.local.known(name) for name in named]
        return list(dict.fromkeys(known))
    except UsageError as error:
        raise pytest.Collector.CollectError(str(error)) from error


def samples(session: Session, test: pytest.Item) -> Sequence[Sample]:
    """The samples of a `dataset` or `usecase` mark.

    Raises:
        CollectError: the data cannot be read; it ends the collection of the test's file.
    """
    if test.get_closest_marker("usecase") is not None:
        prepared = _about(session, test)
        return _or_ends_collection(lambda: prepared.samples)
    return _or_ends_collection(lambda: dataset_of(test, session.datasets).samples)


def _about(session: Session, test: pytest.Item) -> Prepared:
    from pytest_llmbench.evaluations.marked import prepared_of  # noqa: PLC0415 - not in sessions without use cases

    return _or_ends_collection(lambda: prepared_of(test, session))


def _or_ends_collection(find: Callable[[], Found]) -> Found:
    try:
        return find()
    except UsageError as error:
        raise pytest.Collector.CollectError(terminal_safe(str(error))) from error
