"""What asking samples again with damaged inputs comes to: told before anything is asked."""

from __future__ import annotations

from collections.abc import Sequence

import pytest

from pytest_llmbench.asker.estimates import worst_of
from pytest_llmbench.evaluations.items import SampleTest
from pytest_llmbench.results.money import money
from pytest_llmbench.session import Session


def further_calls(session: Session, items: Sequence[pytest.Item]) -> str:
    """Calls and the most that they can cost, in a sentence; empty where no input is damaged.

    Args:
        session: this process's.
        items: the tests that are going to run.
    """
    damaged = [item for item in items if isinstance(item, SampleTest) and item.damaged]
    if not damaged:
        return ""
    calls = sum(_calls(session, item) for item in damaged)
    told = f"corruption: {_counted(damaged, calls)}{_judged(damaged)}"
    if session.settings.replay:
        return f"{told}, as far as the cassette does not answer"
    return f"{told}, {_cost(session, damaged)}"


def _calls(session: Session, item: SampleTest) -> int:
    """As many as are known before; a model of this machine tells how it cuts an input only when it is asked."""
    return len(item.at_most(session)) or item.asking.prepared.case.repeats


def _counted(damaged: Sequence[SampleTest], calls: int) -> str:
    """`3 kinds × 200 samples × 2 models = 1,200 further calls`, where it is such a product."""
    counts = {
        "kind": len({item.corruption for item in damaged}),
        "sample": len({(item.use_case, item.sample.id) for item in damaged}),
        "model": len({item.model_name for item in damaged}),
        "prompt": len({item.asking.variant for item in damaged}),
        "trial": max(item.asking.prepared.case.repeats for item in damaged),
    }
    shown = [f"{count:,} {name}{'' if count == 1 else 's'}" for name, count in counts.items() if _is_told(name, count)]
    product = 1
    for count in counts.values():
        product *= count
    further = f"{calls:,} further call{'' if calls == 1 else 's'}"
    return f"{' × '.join(shown)} = {further}" if product == calls else f"{further} ({', '.join(shown)})"


def _is_told(name: str, count: int) -> bool:
    return count > 1 or name in {"kind", "sample", "model"}


def _cost(session: Session, damaged: Sequence[SampleTest]) -> str:
    questions = (one for item in damaged for one in (*item.at_most(session), *item.judge_questions()))
    most, why = worst_of(questions, batch=session.settings.batch)
    return f"at most {money(most)}" if most is not None else f"nobody knows at what cost ({why})"


def _judged(damaged: Sequence[SampleTest]) -> str:
    verdicts = sum(len(item.judges) * item.asking.prepared.case.repeats for item in damaged)
    return f" and {verdicts:,} verdict{'' if verdicts == 1 else 's'} of judges" if verdicts else ""
