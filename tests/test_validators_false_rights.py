"""Replies that are wrong and look right to a careless validator, and right ones that look wrong."""

from __future__ import annotations

from collections import Counter
from fractions import Fraction

import pytest
from scorers import defects, made, scored

from pytest_llmbench.errors import ConfigError
from pytest_llmbench.records import Reply, Score, ToolCall
from pytest_llmbench.validators.material import Material
from pytest_llmbench.validators.own import register
from pytest_llmbench.validators.registry import VALIDATORS

KEYED = {"json-fields": {"fields": {"lines": {"by": "sku"}}}}
TEXT = {"json-fields": {"fields": {"t": "text"}}}
SET = {"json-fields": {"fields": {"t": "set"}}}

WRONG = [
    ("json-fields", "[]", {"a": None}),
    ("json-fields", '{"c": "Bob"}', {"c": {"vat": None}}),
    ("json-fields", '{"c": "Bob"}', {"c": [None]}),
    ("json-fields", '{"a.b": 999, "a": {"b": 2}}', {"a.b": 1, "a": {"b": 2}}),
    ("json-fields", '{"a": {"b": 3}, "a.b": 1}', {"a.b": 1, "a": {"b": 2}}),
    (KEYED, '{"n": 1, "lines": "none"}', {"n": 1, "lines": []}),
    (KEYED, '{"n": 1}', {"n": 1, "lines": []}),
    (KEYED, '{"n": 1, "lines": [{"sku": "a"}]}', {"n": 1, "lines": []}),
    (SET, '{"t": ["1"]}', {"t": [1]}),
    (SET, '{"t": [true]}', {"t": [1]}),
    ("json", '{"t": 1e999}', {"t": float("inf")}),
    ({"labels": ["phase-1", "phase-2"]}, "phase-2", "phase-1"),
    ({"labels": ["bug", "praise"]}, "", []),
    ({"timestamps": None}, "0:10 - 0:75 intro", None),
    ({"timestamps": None}, '[{"start": "0:10", "end": "0:75"}]', None),
]
RIGHT = [
    (TEXT, '{"t": 1.0}', {"t": 1}),
    (SET, '{"t": [2, 1.0]}', {"t": [1, 2]}),
    (SET, '{"t": [{"b": [2.0], "a": "X"}]}', {"t": [{"a": "x", "b": [2]}]}),
    (KEYED, '{"lines": []}', {"lines": []}),
    ("json-fields", '{"b": 1}', {"a": None, "b": 1}),
    ("json-fields", '{"a": "\u00e9"}', {"a": "e\u0301"}),
    ("json", '```json\r\n{"a": "\u00e9"}\r\n```', {"a": "e\u0301"}),
    ({"labels": ["covid-19", "flu"]}, "- covid-19\n2. flu.", ["covid-19", "flu"]),
    ({"labels": ["bug", "praise"]}, "[]", []),
    ({"labels": ["bug", "praise"]}, "None.", []),
    ({"timestamps": None}, '[{"start": "0:10", "end": null}]', None),
    ({"citations": None}, "It rose [...] last year [1].", None),
    (
        {"weighted": {"of": [{"exact": "a", "weight": 0.1}, {"contains": "b", "weight": 0.2}], "at_least": 1 / 3}},
        "a",
        0,
    ),
]
NOBODY_KNOWS = [
    ("contains", "anything", ""),
    ("starts-with", "anything", ""),
    ("contains-any", "anything", ["refund", " "]),
    ("exact", "", ""),
    ("json-fields", '{"x": 1}', {}),
    ({"timestamps": {"within": "source"}}, "99:00 the end", None),
    ({"citations": {"match": "ids"}}, "It rose [1].", None),
    ({"citations": {"match": "expected"}}, "It rose [1].", None),
    ("grounded", "", None),
    ("grounded-names", "<think>Anna</think>", None),
]


@pytest.mark.parametrize(("spec", "reply", "expected"), WRONG)
def test_a_wrong_reply_is_not_taken_for_a_right_one(spec, reply, expected):
    """Neither its kind nor what it leaves out makes it right."""
    found = scored(spec, reply, expected, source="[1] a")
    assert found.passed is False, found


@pytest.mark.parametrize(("spec", "reply", "expected"), RIGHT)
def test_a_right_reply_is_not_taken_for_a_wrong_one(spec, reply, expected):
    """However it is written."""
    found = scored(spec, reply, expected, source="[1] a")
    assert found.passed is True, found


@pytest.mark.parametrize(("spec", "reply", "expected"), NOBODY_KNOWS)
def test_where_nothing_can_be_compared_nobody_can_tell(spec, reply, expected):
    """A reply is neither right nor wrong then."""
    found = scored(spec, reply, expected, source="no marks")
    assert (found.state, found.passed) == ("unscored", None), found


def test_whole_numbers_of_a_query_count_to_the_last_digit(tmp_path):
    """So do cents of millions; sums that differ by rounding are the same, and a blob is no text."""
    (tmp_path / "t.sql").write_text("create table t (x)")
    pairs = {
        ("select 1234567890", "select 1234567891"): False,
        ("select 12345678.91", "select 12345678.92"): False,
        ("select 1234567890123", "select 1234567890124"): False,
        ("select x'31'", "select '31'"): False,
        ("select 0.1 + 0.2", "select 0.3"): True,
        ("select 1e12", "select 1000000000000"): True,
        ("select 1234567890123.0", "select 1234567890123"): True,
        ("select 0.1 * 30", "select 3"): True,
        ("select 9e999", "select 9e999"): True,
    }
    validator = made({"sql": "t.sql"}, tmp_path)
    for (reply, expected), same in pairs.items():
        assert validator.score(Material(reply_text=reply, expected=expected)).passed is same, (reply, expected)


def test_a_row_that_is_missing_has_none_of_its_cells_right():
    """Not even the empty ones; nothing and an empty cell are the same, and a tolerance is exact at its edge."""
    missing = scored({"csv": {"columns": ["note"]}}, "id,note\n", "id,note\na,")
    assert missing.value == 0
    assert missing.reason.startswith(": note is missing")
    assert scored("csv", "a,b\nx,", [{"a": "x", "b": None}]).value == 1
    assert scored({"csv": {"tolerance": 0.3}}, "a,b\nx,10.3", [{"a": "x", "b": 10.0}]).value == 1


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ({"json-fields": {"fields": {"t": {"date": "%d/%m"}}}}, "does not tell day, month and year"),
        ({"json-fields": {"fields": {"t": {"date": "%Q"}}}}, "'%Q' is no form of a date"),
        ({"csv": {"tolerance": -1}}, "must be a number from 0 up"),
        ({"csv": {"tolerance": float("nan")}}, "must be a number from 0 up"),
        ({"number": {"equals": float("nan")}}, "must be a finite number"),
    ],
)
def test_a_limit_that_would_pass_or_refuse_everything_is_refused(spec, said):
    """A form without a year takes every year for the right one."""
    with pytest.raises(ConfigError, match=said):
        made(spec)


def test_the_lint_tells_of_an_expected_object_without_fields():
    """Every object would be right."""
    assert defects("json-fields", {}) == ["the expected answer '{}' has no fields"]


def test_the_most_particular_of_the_wanted_calls_choose_first():
    """A call of any kind must not take the one that another needs."""
    calls = (ToolCall("1", "find", '{"x": 1}'), ToolCall("2", "find", '{"x": 2}'))
    wanted = [{"name": "find"}, {"name": "find", "arguments": {"x": 1}}]
    reply = Reply(text="", model="m", tool_calls=calls)
    assert made({"tool-calls": wanted}).score(Material(reply=reply)).passed


def test_what_a_function_of_ones_own_gives_can_always_be_stored(monkeypatch):
    """Details of any kind become what JSON has; a verdict without a value is 0 or 1."""
    monkeypatch.setattr(VALIDATORS, "_loaded", dict(VALIDATORS._loaded))
    held = {"a": {1: Fraction(1, 3)}, "b": float("nan"), "c": ({"x"}, Counter("a")), "d": Fraction(1, 2)}
    register("of-mine", lambda _reply, _sample: Score("", passed=Fraction(1), reason=7, details=held))
    found = scored("of-mine", "x")
    assert (found.passed, found.value, found.reason) == (True, 1.0, "7")
    assert found.as_dict()["details"] == {"a": {"1": "1/3"}, "b": "nan", "c": [["x"], {"a": 1}], "d": "1/2"}
