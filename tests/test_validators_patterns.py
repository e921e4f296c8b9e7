"""Patterns: a use case's own over replies, a model's over examples; none of them can hang a run or take its memory."""

from __future__ import annotations

import os
import re
import signal
from concurrent.futures import ThreadPoolExecutor

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scorers import defects, made, scored

from pytest_llmbench.errors import ConfigError, InfraError
from pytest_llmbench.validators import apart, patterns
from pytest_llmbench.validators.patterns import PatternTimeoutError, compiled

ENDLESS = [r"(a|aa)+$", r"(x+x+)+y|(a|a?)+$", r"(?R)?a"]
BOMBS = [r"(((a{1000}){1000}){1000}){1000}", "(" * 3000 + ")" * 3000, r"(a{2147483647}){2147483647}"]
EXAMPLES = {"match": ["2026-01-02", "1999-12-31"], "no_match": ["2026-1-2", "today"]}


@pytest.fixture
def short_limit(monkeypatch):
    """Patterns are given up sooner: what is tested is that they are, not after how long."""
    monkeypatch.setattr(patterns, "LIMIT_S", 0.2)


@pytest.mark.parametrize("pattern", ENDLESS)
def test_a_pattern_that_would_never_end_is_an_error_and_no_wrong_reply(short_limit, pattern):
    """The reply made it explode; that says nothing of what it says."""
    found = scored({"regex": pattern}, "a" * 4000 + "b")
    assert (found.state, found.passed) == ("error", None)


@pytest.mark.parametrize("pattern", BOMBS)
def test_a_pattern_that_takes_all_memory_is_refused_at_load(pattern):
    """It would have taken it before it had seen a reply."""
    with pytest.raises(
        ConfigError, match=r"validators\[0\]\.regex: the pattern (is too large|is not valid|takes longer)"
    ):
        made({"regex": pattern})


def test_the_next_pattern_works_after_one_that_exploded(short_limit):
    """What ran away is gone with its process, or stopped within it."""
    with pytest.raises(PatternTimeoutError):
        compiled(r"(a|aa)+$").found_in("a" * 4000 + "b")
    assert compiled("b").search(["abc", "a"]) == [(1, 2), None]


def test_a_process_that_was_killed_is_replaced():
    """By the kernel for its memory, by an administrator: it holds nothing."""
    assert compiled("b").found_in("abc")
    os.kill(apart._cell._process.pid, signal.SIGKILL)
    apart._cell._process.wait()
    assert compiled("b").found_in("abc")


def test_a_fork_has_a_process_of_its_own():
    """Two at one pipe would read each other's answers."""
    assert compiled("b").found_in("abc")
    ours = apart._cell._process.pid
    reader, writer = os.pipe()
    if not (child := os.fork()):
        told = compiled("c").found_in("abc") and apart._cell._process.pid != ours
        apart._cell.end()
        os.write(writer, b"y" if told else b"n")
        os._exit(0)
    assert os.read(reader, 1) == b"y"
    os.waitpid(child, 0)
    os.close(reader)
    os.close(writer)
    assert compiled("b").found_in("abc")
    assert apart._cell._process.pid == ours


def test_a_process_that_does_not_start_is_no_patterns_fault():
    """It says what to try."""
    with pytest.raises(InfraError, match="cell_nothing apart did not start"):
        apart.run("cell_nothing:at_all", {}, 1.0)
    assert compiled("b").found_in("abc")


def test_an_interrupted_job_leaves_no_answer_to_the_next(monkeypatch):
    """Ctrl-C between question and answer."""
    assert compiled("b").found_in("abc")
    with monkeypatch.context() as patched:
        patched.setattr(apart, "_line", _interrupted)
        with pytest.raises(KeyboardInterrupt):
            compiled("b").found_in("abc")
    assert compiled("x").search(["abc", "x"]) == [None, (0, 1)]


def _interrupted(_process: object, _within_s: float) -> bytes:
    raise KeyboardInterrupt


def test_threads_get_their_own_answers():
    """Replies are scored by several threads at once."""
    texts = [str(each) for each in range(50)]

    def look(number: int) -> list[int]:
        found = (compiled(f"^{number}$").search(texts) for _ in range(20))
        return [place for spans in found for place, span in enumerate(spans) if span]

    with ThreadPoolExecutor(4) as pool:
        assert list(pool.map(look, range(4))) == [[number] * 20 for number in range(4)]


@settings(max_examples=150, deadline=None)
@given(text=st.text(alphabet="ab\n 1é\ud800", max_size=12), pattern=st.text(alphabet="ab1.*+?^$()[]|\\d", max_size=8))
def test_patterns_mean_what_they_mean_to_python(text, pattern):
    """For the syntax that both have."""
    try:
        ours = compiled(pattern).search([text])[0]
        theirs = re.search(pattern, text)
    except (ValueError, re.error):
        return
    assert ours == (theirs and theirs.span())


@pytest.mark.parametrize(
    ("spec", "reply", "passed"),
    [
        ({"regex": r"\bABC-\d+\b"}, "see ABC-12.", True),
        ({"regex": r"^\d+$"}, "12 ", True),
        ({"regex": {"pattern": "abc", "ignore_case": True}}, "xABCx", True),
        ({"regex": {"pattern": "abc", "whole": True}}, "abcd", False),
        ({"not-regex": "sorry"}, "fine", True),
        ({"regex": "<think>"}, "<think>a</think>b", False),
    ],
)
def test_a_pattern_is_looked_for_in_the_reply(spec, reply, passed):
    """Anywhere, unless it must match all of it; reasoning is no part of it."""
    assert scored(spec, reply).passed is passed


def test_an_expected_answer_can_be_a_pattern():
    """One a sample."""
    assert scored("regex", "it is 42", r"\b42\b").passed
    assert defects("regex", "(") == ["the expected answer '(' is no pattern: it is not valid: missing ) at position 1"]
    assert defects("regex") == ["the sample has no expected answer"]


def test_a_pattern_is_held_against_its_own_examples():
    """An example that contradicts the pattern is refused where it stands."""
    spec = {"regex": {"pattern": r"^\d{3}$", "match": ["123"], "no_match": ["12", "999"]}}
    with pytest.raises(ConfigError) as refused:
        made(spec)
    assert "validators[0].regex.no_match[1]" in str(refused.value)
    assert "matches an example it must not match: '999'" in str(refused.value)


def test_a_pattern_longer_than_any_is_refused():
    """Before it is looked at."""
    with pytest.raises(ConfigError, match="is longer than 10,000 characters"):
        made({"regex": "a" * 10_001})


@pytest.mark.parametrize(
    ("reply", "value"),
    [
        (r"^\d{4}-\d\d-\d\d$", 1.0),
        ("Here it is:\n```regex\n^\\d{4}-\\d\\d-\\d\\d$\n```\nIt matches dates.", 1.0),
        (r"`^\d{4}-\d\d-\d\d$`", 1.0),
        (r"/^\d{4}-\d\d-\d\d$/", 1.0),
        (r"<think>^\d$</think>^\d{4}-\d\d-\d\d$", 1.0),
        (r"\d", 0.75),
        ("(", 0.0),
        ("", 0.0),
        (BOMBS[0], 0.0),
    ],
)
def test_a_pattern_that_a_model_wrote_is_worth_the_share_of_examples_it_is_right_on(reply, value):
    """It was run, so no judge is asked; one that is none is simply wrong."""
    found = scored("regex-on-examples", reply, metadata=EXAMPLES)
    assert (found.value, found.passed, found.executed) == (value, value == 1.0, True)


def test_a_pattern_of_a_model_that_never_ends_is_wrong(short_limit):
    """Whoever would use it would wait."""
    found = scored("regex-on-examples", r"^(a|aa)+$", metadata={"match": ["a" * 4000 + "b"], "no_match": ["c"]})
    assert (found.state, found.passed, found.value) == ("scored", False, 0.0)


def test_the_lint_finds_each_example_that_the_expected_pattern_contradicts():
    """The reference itself is run over its examples."""
    assert defects("regex-on-examples", r"^\d{4}-\d\d-\d\d$", metadata=EXAMPLES) == []
    contradicting = {"match": ["2026-01-02", "soon"], "no_match": ["1999-01-01", "2026-01-02"]}
    assert defects("regex-on-examples", r"^\d{4}-\d\d-\d\d$", metadata=contradicting) == [
        "the example '2026-01-02' is to match and not to match",
        "the expected pattern does not match 'soon'",
        "the expected pattern matches '1999-01-01'",
    ]
    assert defects("regex-on-examples", "(", metadata=EXAMPLES)[0].startswith("the expected pattern is not valid")
    assert defects("regex-on-examples", "a", metadata={}) == ["there are no examples to run the pattern on"]


def test_examples_come_from_columns_of_any_kind():
    """Lists of JSONL, JSON in a CSV cell, a text a line, or the declaration itself."""
    for cells in (["1", "2"], '["1", "2"]', "1\n2"):
        spec = {"regex-on-examples": {"match": "yes", "no_match": ["a"]}}
        assert scored(spec, r"\d", metadata={"yes": cells}).passed
    assert scored("regex-on-examples", r"\d", metadata={}).state == "unscored"
