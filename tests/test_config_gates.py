"""How gates are written, and what is told of those that are none."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from jsonschema import Draft202012Validator, ValidationError

from pytest_llmbench.config import gate, gates_of_mark, json_schema
from pytest_llmbench.results import unexpected
from pytest_llmbench.results.gates import describe
from pytest_llmbench.usecases.json_schema import json_schema as usecase_schema


@pytest.mark.parametrize(
    ("written", "meant"),
    [
        ("pass_rate >= 0.8", {"metric": "pass_rate", "min": 0.8}),
        ("pass_rate>=80%", {"metric": "pass_rate", "min": 0.8}),
        ("  ttft_s p95 ≤ .5 ", {"metric": "ttft_s", "statistic": "p95", "max": 0.5}),
        ("cost_usd <= 1e-3", {"metric": "cost_usd", "max": 0.001}),
        ({"ttft_s": "10%"}, {"metric": "ttft_s", "regression": "10%"}),
        ({"ttft_s": 0.02, "model": "x"}, {"metric": "ttft_s", "regression": 0.02, "model": "x"}),
        ({"metric": "score", "regression": "3 points"}, {"metric": "score", "regression": "3 points"}),
        (
            {"metric": "pass_rate", "min": 0.8, "by": "value", "profile": "tri*"},
            {"metric": "pass_rate", "min": 0.8, "by": "value", "profile": "tri*"},
        ),
    ],
)
def test_a_gate_has_several_spellings(written: Any, meant: dict[str, Any]) -> None:
    """A sentence, a margin, or all of it; the published schemas know each."""
    assert gate(written).model_dump(exclude_defaults=True) == meant
    for schema in (json_schema(), usecase_schema()):
        Draft202012Validator(schema).validate({"gates": [written]})


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ("faster please", "is no gate: write"),
        ("ttft_s < 1", "a gate says >= or <="),
        ("ttft_s >= 1.2.3", "'1.2.3' in 'ttft_s >= 1.2.3' is no number"),
        ("ttft_s <= 5%", "ttft_s is in s, not in %"),
        ("pass_rate p95 >= 0.9", "pass_rate has no percentiles"),
        ({"metric": "pass_rate"}, "needs exactly one of min, max and regression, not none"),
        ({"metric": "ttft_s", "max": 1, "regression": "1%"}, "not max and regression"),
        ({"ttft_s": None}, "says no margin"),
        ({"ttft_s": "10%", "by": "value"}, "a regression is always held against its interval"),
        ({"ttft_s": "3 points"}, "points are of rates and scores"),
        ("pass_rate >= 80", "pass_rate lies between 0 and 1: write 0.8, or 80% in a sentence, not 80"),
        ({"metric": "unscored_rate", "max": -0.1}, "unscored_rate lies between 0 and 1"),
        ({"pass_rate": 3}, "pass_rate lies between 0 and 1: write 3 points, or 0.03, not 3"),
        ({}, "says no metric"),
        (7, "must be a mapping"),
        ({"metric": "pass_rate", "min": float("nan")}, "must be a finite number"),
    ],
)
def test_what_is_no_gate_says_why(written: Any, told: str) -> None:
    """In words that say what is allowed."""
    with pytest.raises(ValueError, match=r"\w") as caught:
        gate(written)
    assert told in str(caught.value)


@pytest.mark.parametrize("wrong", [7, {"tft_s": "10%"}, {"metric": "pass_rate", "minn": 1}, {"metric": "x", "min": 1}])
def test_an_editor_that_knows_the_schema_underlines_what_is_no_gate(wrong: Any) -> None:
    """In llmbench.yaml and in front matter."""
    for schema in (json_schema(), usecase_schema()):
        with pytest.raises(ValidationError):
            Draft202012Validator(schema).validate({"gates": [wrong]})


def test_a_mark_has_rules_margins_and_what_is_for_all_of_them() -> None:
    """`by` is for limits alone; a rule's own word goes first."""
    told = {"ttft_s": "10%", "model": "lab/*", "by": "value"}
    found = gates_of_mark(["pass_rate >= 0.8", {"metric": "score", "min": 0.5, "model": "lab/n"}], told)
    assert [(each.metric, each.model, each.by) for each in found] == [
        ("pass_rate", "lab/*", "value"),
        ("score", "lab/n", "value"),
        ("ttft_s", "lab/*", "bound"),
    ]
    for nothing in ({}, {"model": "lab/*"}):
        with pytest.raises(ValueError, match="says no gate"):
            gates_of_mark([], nothing)


def test_a_rule_reads_as_a_sentence() -> None:
    """With its unit; a rate has no statistic."""
    assert describe(gate("ttft_s p95 <= 0.5")) == "ttft_s p95 <= 0.5 s"
    assert describe(gate("pass_rate >= 0.8")) == "pass_rate >= 80 %"


@pytest.mark.parametrize("case", unexpected.CASES)
def test_every_rule_for_the_unexpected_is_one_that_the_code_goes_by(case: str) -> None:
    """The table is no list beside the code: each of its cases is met somewhere in it."""
    sources = Path(unexpected.__file__).parent.glob("*.py")
    assert any(f'"{case}"' in path.read_text() for path in sources if path.name != "unexpected.py")
