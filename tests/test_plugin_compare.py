"""Two replies compared by a judge in a test in Python, and the ranking that many comparisons make."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest
from judge_suites import RUBRIC, calls, court
from suite_runs import stored_run

import pytest_llmbench
from pytest_llmbench import UsageError, ranking
from pytest_llmbench.demo import Answer

HOW_TO = Path(__file__).parents[1] / "docs" / "how-to" / "judge-replies.md"
_FIRST = re.compile(r"\[BEGIN FIRST REPLY [^\]]*\]\n(.*)\n\[END FIRST REPLY ", re.DOTALL)
MARK = f"@pytest.mark.judge('lab/j', rubric='{RUBRIC.partition(': ')[2]}')"


def prefers(place: str) -> Answer:
    """What a judge says of two."""
    return Answer(json.dumps({"reason": "It is written in capital letters or it is not.", "better": place}))


def prefers_loud(body: dict[str, Any]) -> Answer:
    """A judge that is right about two."""
    found = _FIRST.search(body["messages"][-1]["content"])
    assert found
    return prefers("first" if found[1].isupper() else "second")


def asserting(pytester: pytest.Pytester, lines: str, mark: str = MARK) -> None:
    """A test of these lines."""
    body = "\n".join(f"    {line}" for line in lines.splitlines())
    pytester.makepyfile(f"import pytest\n\n@pytest.mark.models('lab/m')\n{mark}\ndef test_it(model, judge):\n{body}\n")


def test_the_example_of_the_manual_runs(pytester: pytest.Pytester) -> None:
    """As it stands, on the demo judges."""
    [example] = re.findall(r"^```python\n((?:(?!^```).)*judge\.compare.*?)^```$", HOW_TO.read_text(), re.M | re.S)
    pytester.makepyfile(example)
    pytester.runpytest_subprocess().assert_outcomes(passed=1)


def test_a_judge_is_asked_in_both_orders_and_its_replies_are_stored(pytester: pytest.Pytester) -> None:
    """Who wins is said by name of the argument; a reply may be a text."""
    asserting(
        pytester,
        "reply = model.ask('hello')\n"
        "assert judge.compare(reply, 'hello', 'hello').winner == 'a'\n"
        "assert judge.compare('hello', reply, 'hello').winner == 'b'\n"
        "assert not judge.compare(reply, 'hello', 'hi').flipped",
    )
    with court(pytester.path, j=prefers_loud) as lab:
        pytester.runpytest_subprocess().assert_outcomes(passed=1)
        assert calls(lab) == {"m": 1, "j": 6}
        assert [reply.role for reply in stored_run(pytester).replies].count("judge") == 6


@pytest.mark.slow
def test_a_judge_that_follows_the_place_flips(pytester: pytest.Pytester) -> None:
    """The same place in both orders is a tie, and told."""
    asserting(
        pytester, "found = judge.compare('A', 'b', 'hello')\nassert (found.winner, found.flipped) == ('tie', True)"
    )
    with court(pytester.path, j=lambda _: prefers("first")):
        pytester.runpytest_subprocess().assert_outcomes(passed=1)


@pytest.mark.parametrize(("usable_later", "winner", "asked"), [(True, "'a'", 3), (False, "None", 4)])
@pytest.mark.slow
def test_an_unusable_answer_is_asked_for_once_more(
    pytester: pytest.Pytester, usable_later: bool, winner: str, asked: int
) -> None:
    """Only the order that it was given in; one that stays unusable decides nothing."""
    asserting(pytester, f"assert judge.compare('A', 'b', 'hello').winner is {winner}".replace("is '", "== '"))

    def muddled(body: dict[str, Any]) -> Answer:
        again = "could not be used" in body["messages"][-1]["content"]
        right = prefers_loud(body)
        if not usable_later:
            return Answer("The first, I think.")
        return right if again or '"second"' in right.text else Answer("The first, I think.")

    with court(pytester.path, j=muddled) as lab:
        pytester.runpytest_subprocess().assert_outcomes(passed=1)
        assert calls(lab) == {"j": asked}


@pytest.mark.parametrize(
    ("mark", "about", "told"),
    [
        (MARK.replace("'lab/j'", "'lab/j', 'lab/k'"), "'hello'", "*2 models judge here*"),
        (MARK, "None", "*what does the reply answer*"),
        ("@pytest.mark.judge('lab/j', rubric='factuality')", "'hello'", "*'factuality' needs source*"),
    ],
)
@pytest.mark.slow
def test_what_is_missing_for_a_comparison_is_told(pytester: pytest.Pytester, mark: str, about: str, told: str) -> None:
    """Before anybody is asked."""
    asserting(pytester, f"judge.compare('A', 'b', {about})", mark)
    with court(pytester.path) as lab:
        result = pytester.runpytest_subprocess()
        assert calls(lab) == {}
    assert result.ret != 0
    result.stdout.fnmatch_lines([told])


@pytest.mark.slow
def test_equal_strengths_share_a_rank() -> None:
    """And the next has the place after all of them; what was not decided is left out."""
    told = [("p", "q", "tie"), ("p", "r", "a"), ("q", "r", "a"), ("p", "q", None), ("r", "q", "b"), ("r", "p", "b")]
    found = ranking(told)
    assert [(row.name, row.rank, row.n) for row in found] == [("p", 1, 3), ("q", 1, 3), ("r", 3, 4)]
    assert all(row.low < row.strength < row.high for row in found)
    assert found[0].strength > 0 > found[2].strength
    assert pytest_llmbench.ranking is ranking


@pytest.mark.slow
def test_an_unknown_winner_is_refused() -> None:
    """A name is no winner: it would count as nothing."""
    with pytest.raises(UsageError, match="the winner is 'p'"):
        ranking([("p", "q", "p")])
    assert ranking([]) == []
