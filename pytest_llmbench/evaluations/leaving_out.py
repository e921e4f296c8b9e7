"""Which tests of samples may be left out once the gates are decided, and why others may not."""

from __future__ import annotations

from collections.abc import Sequence
from fnmatch import fnmatchcase

import pytest

from pytest_llmbench.config import Gate
from pytest_llmbench.evaluations.asking import Asking
from pytest_llmbench.evaluations.gate_stop import GateStop
from pytest_llmbench.evaluations.items import SampleTest
from pytest_llmbench.gate_marks import MARK
from pytest_llmbench.results.case_gates import rules_of
from pytest_llmbench.results.gates import is_named
from pytest_llmbench.session import Session

_RATE = "pass_rate"


def stop_early(session: Session, items: Sequence[pytest.Item], *, is_worker: bool) -> bool:
    """Have samples left out once they decide nothing, where that is wanted and can be.

    Args:
        session: this process's.
        items: the tests.
        is_worker: whether other processes run some of the tests: then nobody knows how far they are.

    Returns:
        Whether any may be left out: then little is asked ahead.
    """
    groups: dict[int, list[SampleTest]] = {}
    for item in items:
        if isinstance(item, SampleTest) and _is_wanted(session, item):
            groups.setdefault(id(item.asking), []).append(item)
    if not groups or is_worker:
        return False
    has_others = any(item.get_closest_marker("usecase") is not None for item in items)
    stopped = [_stopped(session, tests, has_others=has_others) for tests in groups.values()]
    return any(stopped)


def _is_wanted(session: Session, item: SampleTest) -> bool:
    return session.settings.stop_early or "samples" in item.asking.prepared.case.stop


def _stopped(session: Session, tests: Sequence[SampleTest], *, has_others: bool) -> bool:
    asking = tests[0].asking
    gates = _gates_on(asking)
    if why := _obstacle(session, tests, gates, has_others=has_others):
        session.say(f"{asking.prepared.case.name}, {asking.model}: no sample is left out early: {why}")
        return False
    stop = GateStop([(gate.min, gate.by) for gate in gates if gate.min is not None], len(tests))
    for test in tests:
        test.gate_stop = stop
    return True


def _obstacle(session: Session, tests: Sequence[SampleTest], gates: Sequence[Gate], *, has_others: bool) -> str:
    """Why all samples have to be asked; empty: they have not."""
    if not gates:
        return "there is no gate on it"
    if other := next((gate.metric for gate in gates if not _is_decidable(gate)), None):
        return f"the gate of {other} is decided by all of them"
    if why := _unlike(tests):
        return why
    if has_others or any(test.get_closest_marker(MARK) for test in tests):
        return "tests that are marked with a use case, or with gates, have a say in it"
    return "a batch asks all at once" if session.settings.batch else ""


def _unlike(tests: Sequence[SampleTest]) -> str:
    """Why samples do not count as so many independent ones; empty: they do."""
    prepared = tests[0].asking.prepared
    if len({prepared.weight_of(test.sample) for test in tests}) > 1:
        return "samples count differently, by their weights"
    documents = [prepared.case.slices_of(test.sample).get("document", "") for test in tests]
    if len(set(filter(None, documents))) < sum(map(bool, documents)):
        return "samples of one document say less than as many of different ones"
    return "those with damaged inputs are compared with them" if any(test.damaged for test in tests) else ""


def _is_decidable(gate: Gate) -> bool:
    return gate.metric == _RATE and gate.min is not None and 0 < gate.min <= 1


def _gates_on(asking: Asking) -> list[Gate]:
    """Those of its page, and those of llmbench.yaml that only use cases have."""
    case = asking.prepared.case
    shared = rules_of(asking.session.config.all_gates)
    known = [*case.gates, *(rule.gate for rule in shared if fnmatchcase(case.name, rule.use_case))]
    return [gate for gate in known if is_named(gate.model, asking.model)]
