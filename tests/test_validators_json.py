"""JSON replies: equal, of a schema as jsonschema has it, and field by field."""

from __future__ import annotations

import json

import jsonschema
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scorers import defects, made, scored

from pytest_llmbench.errors import ConfigError
from pytest_llmbench.validators import schemas

TICKET = {
    "type": "object",
    "required": ["queue", "urgent"],
    "additionalProperties": False,
    "properties": {
        "queue": {"enum": ["billing", "shipping"]},
        "urgent": {"type": "boolean"},
        "id": {"type": "string", "pattern": "^T-[0-9]+$"},
        "on": {"type": "string", "format": "date"},
        "lines": {"type": "array", "uniqueItems": True, "items": {"type": "number", "minimum": 0}},
    },
}
VALUES = st.recursive(
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.floats(-2, 2)
    | st.sampled_from(["billing", "T-1", "2026-02-30"]),
    lambda inner: (
        st.lists(inner, max_size=3)
        | st.dictionaries(st.sampled_from(["queue", "urgent", "id", "on", "lines"]), inner, max_size=5)
    ),
    max_leaves=8,
)
TICKETS = st.fixed_dictionaries(
    {"queue": st.sampled_from(["billing", "x"]), "urgent": st.booleans()},
    optional={
        "id": st.sampled_from(["T-1", "t"]),
        "on": st.sampled_from(["2026-02-28", "2026-02-30"]),
        "lines": st.lists(st.integers(-1, 3), max_size=3),
    },
)


@settings(max_examples=200, deadline=None)
@given(value=VALUES | TICKETS)
def test_a_schema_decides_as_jsonschema_does(value):
    """The reference implementation, on shared values; each problem is one of its own."""
    reference = jsonschema.Draft202012Validator(TICKET, format_checker=jsonschema.Draft202012Validator.FORMAT_CHECKER)
    wanted = sorted(error.message for error in reference.iter_errors(value))
    found = scored({"json-schema": TICKET}, json.dumps(value))
    assert found.passed is (not wanted)
    assert sorted(problem.rpartition(": ")[2] for problem in found.details["problems"]) == sorted(
        message.rpartition(": ")[2] for message in wanted
    )


def test_a_schema_names_the_place_of_each_problem():
    """And it was run: it outranks a judge."""
    found = scored({"json-schema": TICKET}, '{"queue": "billing", "urgent": true, "lines": [1, "2"]}')
    assert found.reason == "lines[1]: '2' is not of type 'number'"
    assert found.executed


@pytest.mark.parametrize("reply", ["", "no JSON", '{"a": 1,}', "{'a': 1}", '{"a": NaN}', '{"a": 1, "a": 2}', "{} {}"])
def test_a_reply_that_is_not_json_is_wrong_by_every_validator_of_json(reply):
    """Strictly: what a program would choke on."""
    for spec in ("is-json", {"json": {}}, {"json-schema": {}}):
        found = scored(spec, reply)
        assert (found.state, found.passed) == ("scored", False)
    assert scored("json-fields", reply, {"a": 1}).value == 0.0


def test_one_fence_around_json_is_allowed_unless_it_is_not():
    """Models put it there when they are not told otherwise."""
    reply = '```json\n{"a": 1}\n```'
    assert scored("is-json", reply).passed
    assert not scored({"is-json": {"fence": False}}, reply).passed


def test_the_schema_may_be_the_use_cases_own_or_stand_in_a_file(tmp_path):
    """Without an argument it is that of the output."""
    (tmp_path / "ticket.json").write_text(json.dumps(TICKET))
    reply = '{"queue": "x", "urgent": true}'
    assert not scored("json-schema", reply, schema=TICKET).passed
    assert not scored({"json-schema": "ticket.json"}, reply, folder=tmp_path).passed
    assert scored("json-schema", reply).state == "unscored"
    assert defects("json-schema") == ["there is no schema: neither here nor as the use case's output"]


def test_an_expected_answer_that_breaks_the_schema_is_a_defect():
    """As a value or as text."""
    for truth in ({"queue": "x", "urgent": True}, '{"queue": "x", "urgent": true}'):
        (found,) = defects({"json-schema": TICKET}, truth)
        assert (
            found == "the expected answer is not as the schema says: queue: 'x' is not one of ['billing', 'shipping']"
        )


@pytest.mark.parametrize(
    ("schema", "said"),
    [
        ([1], "must be a mapping"),
        ({"type": "nothing"}, "is not valid: type: 'nothing'"),
        ({"properties": {"a": {"pattern": "("}}}, "is not valid: properties.a.pattern"),
        ({"$ref": "https://example.invalid/a.json"}, "nothing is fetched"),
        ({"$ref": "other.json#/a"}, "nothing is fetched"),
        ({"$ref": "#"}, "refers to itself without end"),
        ({"format": "uri"}, "pip install 'pytest-llmbench[schemas]'"),
        ("nowhere.json", "there is no file 'nowhere.json'"),
        ("../a.json", "leads out of the folder"),
    ],
)
def test_a_schema_that_cannot_be_checked_is_refused_at_load(tmp_path, schema, said):
    """A format that would pass unchecked, a reference that would be fetched, and what is no schema."""
    with pytest.raises(ConfigError) as refused:
        made({"json-schema": schema}, tmp_path)
    assert "validators[0].json-schema" in str(refused.value)
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("text", "passed"),
    [
        ("2026-01-02T03:04:05Z", True),
        ("2026-01-02T03:04:05.123+02:00", True),
        ("2026-01-02T03:04:05", False),
        ("2026-13-02T03:04:05Z", False),
        ("2026-01-02", False),
        ("soon", False),
    ],
)
def test_date_time_is_checked_without_another_package(text, passed):
    """jsonschema by itself would let all of these pass."""
    assert scored({"json-schema": {"format": "date-time"}}, json.dumps(text)).passed is passed


def test_a_schema_that_takes_for_ever_on_a_reply_is_an_error_and_no_wrong_reply(monkeypatch):
    """Two ways at each level are two to the power of its depth."""
    monkeypatch.setattr(schemas, "LIMIT_S", 0.2)
    both = [{"items": {"$ref": "#"}, "type": "array"}, {"items": {"$ref": "#"}, "minItems": 1}]
    reply = "[" * 60 + '""' + "]" * 60
    assert scored({"json-schema": {"anyOf": both, "type": "array"}}, reply).state == "error"
    assert scored({"json-schema": {"type": "array"}}, "[]").passed


def test_json_is_equal_in_value_and_type():
    """The order of keys does not count; `1` is `1.0`, and neither is true."""
    assert scored("json", '{"b": [1.0], "a": null}', {"a": None, "b": [1]}).passed
    assert scored("json", '{"b": [1], "a": null}', '{"a": null, "b": [1]}').passed
    assert scored({"json": [1, 2]}, "[1, 2]").passed
    assert not scored("json", "[2, 1]", [1, 2]).passed
    assert not scored("json", "[true]", [1]).passed
    assert defects("json", '{"a": 1') == [
        "the expected answer is not JSON: Expecting ',' delimiter: line 1 column 8 (char 7)"
    ]


INVOICE = {
    "vendor": "The Acme Co.",
    "date": "2026-03-14",
    "total": 118.5,
    "note": None,
    "tags": ["a", "b"],
    "lines": [{"sku": "A1", "amount": 100}, {"sku": "B2", "amount": 18.5}],
}
HOW = {
    "fields": {
        "vendor": "text",
        "date": "date",
        "total": {"number": 0.01},
        "tags": "set",
        "lines": {"by": "sku"},
        "lines.*.amount": {"relative": 0.01},
    }
}


def test_all_fields_right_is_a_pass():
    """However dates, names, lists and amounts are written."""
    reply = {
        "vendor": "acme co",
        "date": "14 March 2026",
        "total": "118.50",
        "tags": ["b", "A"],
        "lines": [{"amount": 18.6, "sku": "B2"}, {"amount": 100, "sku": "A1", "more": 1}],
    }
    found = scored({"json-fields": HOW}, json.dumps(reply), INVOICE)
    assert (found.passed, found.value) == (True, 1.0)


def test_partial_credit_and_which_fields_differ():
    """The share of leaves; the score tells of each."""
    reply = {**INVOICE, "total": 119, "lines": [{"sku": "A1", "amount": 100}]}
    found = scored({"json-fields": HOW}, json.dumps(reply), INVOICE)
    assert found.details["differs"] == {
        "total": "119 is not 118.5",
        "lines.1.sku": "missing, expected 'B2'",
        "lines.1.amount": "missing, expected 18.5",
    }
    assert found.value == pytest.approx(6 / 9)
    assert not found.passed
    assert scored({"json-fields": {**HOW, "at_least": 0.6}}, json.dumps(reply), INVOICE).passed


def test_fields_that_nobody_asked_for():
    """Allowed by default; a line too many in a list never is."""
    reply = {"a": 1, "b": 2}
    assert scored("json-fields", json.dumps(reply), {"a": 1}).passed
    refused = scored({"json-fields": {"extra": "refuse"}}, json.dumps(reply), {"a": 1})
    assert refused.details["differs"] == {"b": "was not asked for: 2"}
    assert scored({"json-fields": {"extra": "refuse", "fields": {"b": "ignore"}}}, json.dumps(reply), {"a": 1}).passed
    too_many = scored("json-fields", '{"a": [1, 2]}', {"a": [1]})
    assert too_many.value == 0.5
    assert too_many.details["differs"] == {"a.1": "one item too many: 2"}


@settings(max_examples=200, deadline=None)
@given(truth=st.dictionaries(st.sampled_from("abcd"), VALUES, min_size=1, max_size=4), reply=VALUES)
def test_shares_are_shares_and_the_truth_itself_is_right(truth, reply):
    """And a pass is all of them."""
    assert scored("json-fields", json.dumps(truth), truth).value == 1.0
    found = scored("json-fields", json.dumps(reply), truth)
    assert 0 <= found.value <= 1
    assert found.passed is (not found.details["differs"])


def test_expected_answers_that_their_comparison_cannot_compare_are_defects():
    """A date whose day could be its month, a number that is none, items that their key does not tell apart."""
    truth = {
        "date": "03/04/2026",
        "total": "much",
        "tags": "a",
        "lines": [{"sku": "A", "amount": 1}, {"sku": "a", "amount": 2}],
    }
    assert defects({"json-fields": HOW}, truth) == [
        "date: the expected '03/04/2026' is not a date whose day and month are certain",
        "total: the expected 'much' is not a number",
        "tags: the expected 'a' is not a list",
        "lines: 'a' stands there 2 times",
    ]
    assert defects("json-fields", "yes") == ["the expected answer 'yes' has no fields"]
    assert defects("json-fields") == ["the sample has no expected answer"]
    assert scored({"json-fields": {"fields": {"date": {"date": "%d/%m/%Y"}}}}, '{"date": "2026-04-03"}', truth).details[
        "fields"
    ]["date"]


@pytest.mark.parametrize(
    ("argument", "said"),
    [
        ({"fields": {"a": "nmber"}}, "json-fields.fields.a: 'nmber' is no comparison; did you mean 'number'?"),
        ({"fields": {"a": {"number": -1}}}, "must be a number from 0 up"),
        ({"fields": {"a": {"number": 1, "relative": 1}}}, "names one comparison"),
        ({"fields": {"a": {"by": 3}}}, "json-fields.fields.a.by: must be text"),
        ({"extra": "perhaps"}, "must be allow or refuse"),
        ({"field": {}}, "unknown key; did you mean 'fields'?"),
        ([], "must be a mapping"),
    ],
)
def test_a_wrong_comparison_is_refused_with_its_place(argument, said):
    """With the names there are."""
    with pytest.raises(ConfigError) as refused:
        made({"json-fields": argument})
    assert said in str(refused.value)
