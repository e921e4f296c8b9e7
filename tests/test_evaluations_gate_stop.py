"""When the samples that are left can change nothing about the gates on a model."""

from __future__ import annotations

import random

import pytest

from pytest_llmbench.evaluations.gate_stop import GateStop
from pytest_llmbench.records import Evaluation
from pytest_llmbench.results.asked_samples import Asked
from pytest_llmbench.stats.sequential import BoundRule, FixedRule


def told(passed: bool | None, *, by_advice: bool = False) -> Asked:
    """A sample; by_advice: by the word of a judge that only advises, and nothing else is wrong with it."""
    outcome = {True: "right", False: "wrong", None: "unscored"}[passed]
    found = Evaluation(
        "case", "s", value=0.5, passed=passed, advised=by_advice, bound_passed=True if by_advice else None
    )
    return Asked("m", found, outcome, ())


@pytest.mark.parametrize("by", ["bound", "value"])
@pytest.mark.parametrize("p0", [0.5, 0.8, 1.0])
def test_the_samples_asked_decide_as_all_would_have(p0: float, by: str) -> None:
    """Of 300 random runs: the gate says of the samples asked what it says of all; many runs end early."""
    luck, early = random.Random(5), 0
    for _ in range(300):
        rate, samples = luck.random(), luck.randint(1, 60)
        verdicts = [None if luck.random() < 0.05 else luck.random() < rate for _ in range(samples)]
        stop, asked = GateStop([(p0, by)], samples), []
        for place, verdict in enumerate(verdicts):
            if stop.reason:
                break
            stop.add(str(place), told(verdict))
            asked.append(verdict)
        early += len(asked) < samples
        whole, part = ([each for each in some if each is not None] for some in (verdicts, asked))
        rule = FixedRule(p0, samples, None) if by == "value" else BoundRule(p0, samples)
        assert rule.verdict(sum(part), len(part)) == rule.verdict(sum(whole), len(whole))
    assert early > 50


def test_of_several_gates_all_have_to_be_decided() -> None:
    """One of 20 % is after two passes of ten, one of 60 % after six."""
    stop = GateStop([(0.2, "value"), (0.6, "value")], 10)
    for place in range(5):
        stop.add(str(place), told(True))
    assert not stop.reason
    stop.add("5", told(True))
    assert stop.reason == "the gate is decided: 6 of 10 samples were enough"


def test_a_failure_by_advice_is_also_held_against_what_else_is_told() -> None:
    """The gate has failed by advice after a few; whether that counts is only known when the rest is decided, too."""
    advised, plain = GateStop([(0.9, "value")], 10), GateStop([(0.9, "value")], 10)
    for place in range(8):
        advised.add(str(place), told(False, by_advice=True))
        plain.add(str(place), told(False))
    assert plain.reason
    assert not advised.reason
    advised.add("8", told(False, by_advice=True))
    assert advised.reason == "the gate is decided: 9 of 10 samples were enough"


def test_a_test_that_is_run_again_ends_the_stopping() -> None:
    """What was counted of it may not be what it ends with."""
    stop = GateStop([(0.5, "value")], 4)
    stop.add("a", told(True))
    stop.add("a", told(True))
    stop.add("b", told(True))
    assert not stop.reason
