"""Limits on what was measured of a reply, why it ended, and the tools it called."""

from __future__ import annotations

import pytest
from scorers import defects, made

from pytest_llmbench.errors import ConfigError
from pytest_llmbench.records import Cost, Reply, Score, Timing, ToolCall, Usage
from pytest_llmbench.validators.material import Material

REPLY = Reply(
    "hello",
    "demo/fast",
    finish_reason="stop",
    usage=Usage(completion_tokens=101),
    timing=Timing(ttft_s=0.5, e2e_s=2.6, last_token_s=2.5),
    cost=Cost("0.002", "priced"),
    tool_calls=(
        ToolCall("1", "get_weather", '{"city": "Oslo", "days": 2}'),
        ToolCall("2", "get_time", "{}"),
    ),
)


def scored(spec: object, reply: Reply | None, expected: object = None) -> Score:
    """What a validator says of a whole reply."""
    return made(spec).score(Material(reply_text=reply.text if reply else "", reply=reply, expected=expected))


@pytest.mark.parametrize(
    ("name", "key", "measured", "lower_is_better"),
    [
        ("latency", "at_most_s", 2.6, True),
        ("ttft", "at_most_s", 0.5, True),
        ("cost", "at_most_usd", 0.002, True),
        ("tokens", "at_most", 101, True),
        ("tokens-per-second", "at_least", 50, False),
    ],
)
def test_a_limit_holds_at_its_edge(name, key, measured, lower_is_better):
    """At it is within it; beyond it is not; what was measured is told."""
    assert scored({name: {key: measured}}, REPLY).passed
    beyond = measured * 0.99 if lower_is_better else measured * 1.01
    found = scored({name: {key: beyond}}, REPLY)
    assert found.passed is False
    assert found.details["measured"] == pytest.approx(measured)


@pytest.mark.parametrize(
    "spec",
    [
        {"latency": {"at_most_s": 100}},
        {"ttft": {"at_most_s": 100}},
        {"cost": {"at_most_usd": 100}},
        {"tokens": {"at_most": 100}},
        {"tokens-per-second": {"at_least": 0}},
        "finish-reason",
    ],
)
def test_what_was_not_measured_is_within_no_limit(spec):
    """Unknown cost is not 0; a text alone has no times."""
    assert scored(spec, Reply("a", "b")).state == "unscored"
    assert scored(spec, None).state == "unscored"
    assert defects(spec) == []


def test_why_a_reply_ended():
    """Cut off by its token limit is not an end."""
    assert scored("finish-reason", REPLY).passed
    assert not scored({"finish-reason": "length"}, REPLY).passed
    assert scored({"finish-reason": ["length", "stop"]}, REPLY).passed


WEATHER = {"name": "get_weather", "arguments": {"city": "Oslo"}}
TIME = {"name": "get_time"}


@pytest.mark.parametrize(
    ("calls", "passed", "value"),
    [
        ([WEATHER, TIME], True, 1.0),
        ([TIME, WEATHER], True, 1.0),
        ({"calls": [WEATHER, TIME], "in_order": True}, True, 1.0),
        ({"calls": [TIME, WEATHER], "in_order": True}, False, 0.5),
        ([WEATHER], False, 0.5),
        ({"calls": [WEATHER], "extra": True}, True, 1.0),
        ([WEATHER, WEATHER], False, 0.5),
        ([{"name": "get_weather", "arguments": {"city": "Rome"}}, TIME], False, 0.5),
        ([{"name": "get_weather", "arguments": {"days": 2.0, "city": "Oslo"}}, TIME], True, 1.0),
        ([], False, 0.0),
        ([WEATHER, TIME, {"name": "more"}], False, 2 / 3),
    ],
)
def test_tool_calls_are_worth_the_share_that_was_made(calls, passed, value):
    """Arguments that were not asked for may be there; further calls only where they are allowed."""
    found = scored({"tool-calls": calls}, REPLY)
    assert (found.passed, found.value) == (passed, pytest.approx(value))


def test_wanted_calls_may_be_the_expected_answer():
    """One, several, or none."""
    assert scored("tool-calls", REPLY, [WEATHER, TIME]).passed
    assert scored("tool-calls", Reply("no tool", "m"), []).passed
    assert scored({"tool-calls": []}, Reply("no tool", "m")).passed
    assert defects("tool-calls", "get_weather") == [
        "the expected answer is no list of calls ({name: ..., arguments: {...}})"
    ]
    assert defects("tool-calls") == ["the sample has no expected answer"]
    assert scored("tool-calls", None, [WEATHER]).state == "unscored"


def test_arguments_that_are_no_json_are_no_arguments():
    """A reply that was cut off has a part of them."""
    cut = Reply("", "m", tool_calls=(ToolCall("1", "get_weather", '{"city": "Os'),))
    assert not scored({"tool-calls": [WEATHER]}, cut).passed
    assert scored({"tool-calls": [{"name": "get_weather"}]}, cut).passed


@pytest.mark.parametrize(
    ("spec", "said"),
    [
        ("latency", "needs its limit"),
        ({"latency": {"at_most": 5}}, "unknown key; did you mean 'at_most_s'?"),
        ({"cost": {"at_most_usd": -1}}, "validators[0].cost.at_most_usd"),
        ({"tokens": {"at_most": "many"}}, "must be a number"),
        ({"tool-calls": ["get_weather"]}, "validators[0].tool-calls[0]: must be a call"),
        ({"tool-calls": [{"name": "a", "args": {}}]}, "must be a call"),
        ({"tool-calls": {"calls": [5]}}, "validators[0].tool-calls.calls[0]: must be a call"),
        ({"tool-calls": {"call": []}}, "unknown key; did you mean 'calls'?"),
        ({"finish-reason": 1}, "must be text"),
    ],
)
def test_wrong_limits_are_refused_with_their_place(spec, said):
    """A limit says its unit."""
    with pytest.raises(ConfigError) as refused:
        made(spec)
    assert said in str(refused.value)
