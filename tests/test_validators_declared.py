"""How use cases declare validators: names, arguments, weights, limits, `not-`, fields; errors say where they stand."""

from __future__ import annotations

import pytest
from scorers import defects, located, made, scored

from pytest_llmbench.errors import ConfigError, UsageError
from pytest_llmbench.records import Score
from pytest_llmbench.validators.declared import declared_all
from pytest_llmbench.validators.material import Material
from pytest_llmbench.validators.own import register
from pytest_llmbench.validators.registry import VALIDATORS
from pytest_llmbench.validators.scorer import Plain, Validator, graded, verdict

PASSING = [
    ("exact", " yes\n", "yes"),
    ("exact", "b", ["a", "b"]),
    ({"exact": "é"}, "e\u0301", None),
    ("iexact", "YES", "yes"),
    ("contains", "a refund within 14 days", ["refund", "14 days"]),
    ({"contains": "refund"}, "a refund", "nothing of the kind"),
    ({"contains-any": ["refund", "money"]}, "your money", None),
    ({"icontains": "REFUND"}, "a refund", None),
    ({"icontains-any": ["x", "REFUND"]}, "a refund", None),
    ({"starts-with": ["Dear", "Hello"]}, "Hello you", None),
    ({"ends-with": "."}, "The end. ", None),
    ({"not-contains": ["sorry", "unable"]}, "here it is", None),
    ({"not-exact": "no"}, "yes", None),
    ({"not-starts-with": ["a", "b"]}, "c", None),
    ("exact", "<think>no</think>yes", "yes"),
]
FAILING = [
    ("exact", "Yes", "yes"),
    ("exact", "yes, of course", "yes"),
    ("contains", "a refund", ["refund", "14 days"]),
    ({"contains": "refund"}, "a Refund", None),
    ({"contains": "refund"}, "<think>a refund</think>no", None),
    ({"not-contains": ["sorry", "unable"]}, "I am unable", None),
    ({"not-exact": "no"}, "no", None),
    ({"ends-with": "."}, "The end", None),
]
REFUSED = [
    ({}, "validators[0]: names one validator: there is none"),
    ({"weight": 2}, "there is none"),
    ({"exact": None, "contains": "a"}, "there are 'exact', 'contains'"),
    (3, "must be a validator's name"),
    (["exact"], "must be a validator's name"),
    ("exat", "there is no validator 'exat'; did you mean 'exact'?"),
    ("equals", "there is no validator 'equals'; here it is called 'exact'"),
    ({"exact_match": "a"}, "here it is called 'exact'"),
    ({"not-exat": "a"}, "validators[0].not-exat: there is no validator 'exat'"),
    ({"contains": 5}, "validators[0].contains: must be text; quote it"),
    ({"contains": ["a", 5]}, "validators[0].contains[1]: must be text; quote it"),
    ({"contains": []}, "must not be empty"),
    ({"contains": " "}, "must not be empty"),
    ({"exact": None, "weight": -1}, "validators[0].weight: must be a number, 0 or more"),
    ({"exact": None, "weight": True}, "validators[0].weight"),
    ({"exact": None, "weight": float("nan")}, "validators[0].weight"),
    ({"exact": None, "name": ""}, "validators[0].name"),
    ({"exact": None, "field": 3}, "validators[0].field"),
    ({"weighted": {"of": ["exact"], "at_most": 1}}, "weighted is better where it is higher: at_least"),
    ({"weighted": {"of": ["exact"], "at_least": "much"}}, "validators[0].weighted.at_least: must be a number"),
    ({"weighted": {"of": ["exact"], "at_least": float("inf")}}, "must be a number"),
    ({"weighted": {"off": ["exact"]}}, "unknown key; did you mean 'of'?"),
    ({"not-weighted": {"of": ["exact"]}}, "'not-weighted' needs a limit to be inverted"),
]


@pytest.mark.parametrize(("spec", "reply", "expected"), PASSING)
def test_a_reply_passes_what_it_was_asked_for(spec, reply, expected):
    """Space around a reply, its reasoning, and how an accent is written do not count."""
    found = scored(spec, reply, expected)
    assert (found.state, found.passed, found.value) == ("scored", True, 1.0)


@pytest.mark.parametrize(("spec", "reply", "expected"), FAILING)
def test_a_reply_fails_what_it_does_not_do(spec, reply, expected):
    """And the reason is told."""
    found = scored(spec, reply, expected)
    assert (found.state, found.passed, found.value) == ("scored", False, 0.0)
    assert found.reason


@pytest.mark.parametrize(("spec", "said"), REFUSED)
def test_a_wrong_declaration_is_refused_with_its_place(spec, said):
    """Before any model is asked; the sentence names file, line and key."""
    with pytest.raises(ConfigError) as refused:
        made(spec)
    assert "USE-CASE.md:7: validators[0]" in str(refused.value)
    assert said in str(refused.value)


def test_the_form_of_another_tool_is_told_how_it_is_written_here():
    """`type:` and `value:`, as promptfoo has them."""
    with pytest.raises(ConfigError) as refused:
        made({"type": "equals", "value": "refund"})
    assert refused.value.hint == "here the name is the key: `- exact: refund`"


def test_without_an_expected_answer_nobody_can_tell():
    """That is unscored, not wrong; and the lint says it before a run."""
    found = scored("exact", "yes")
    assert (found.state, found.value, found.passed) == ("unscored", None, None)
    assert defects("exact") == ["the sample has no expected answer"]
    assert defects("contains", {"queue": "a"})[0].startswith("the expected answer has fields and is no text")
    assert defects({"contains": None, "field": "queue"}, {"queue": "a"}) == []
    assert defects("exact", "") == [
        "the expected answer has an empty text: an empty reply would be right, or every reply"
    ]


def test_inverting_what_nobody_can_tell_tells_nothing():
    """`not-` of unscored is unscored."""
    assert scored("not-exact", "yes").state == "unscored"


def test_name_and_weight_are_those_declared():
    """Without a name of its own a validator is called as it is written."""
    assert scored({"not-contains": "a"}, "b").name == "not-contains"
    named = scored({"contains": "a", "name": "has an a", "weight": 2.5}, "a")
    assert (named.name, named.weight) == ("has an a", 2.5)


def test_validators_of_one_use_case_have_names_of_their_own():
    """Numbered where they are not named; two equal names that were chosen are a mistake."""
    specs = [{"contains": "a"}, {"contains": "b"}, {"exact": "c", "name": "contains-2"}]
    with pytest.raises(ConfigError, match=r"validators\[0\]\[2\]\.name: another validator is called 'contains-2'"):
        declared_all(specs, located)
    assert [one.name for one in declared_all([{"contains": "a"}, "exact", {"contains": "b"}], located)] == [
        "contains",
        "exact",
        "contains-2",
    ]


def test_a_field_of_the_reply_is_held_against_the_same_field_of_the_expected_answer():
    """The other fields do not count; an expected answer without fields is the field's own."""
    spec = {"exact": None, "field": "lines.1.sku"}
    truth = {"lines": [{"sku": "a"}, {"sku": "b"}]}
    assert scored(spec, '{"lines": [{}, {"sku": "b"}]}', truth).passed
    assert scored(spec, '{"lines": [{}, {"sku": "b"}]}', '{"lines": [{}, {"sku": "b"}]}').passed
    assert scored(spec, '{"lines": [{}, {"sku": "b"}]}', "b").passed
    assert not scored(spec, '{"lines": [{}, {"sku": "a"}]}', truth).passed


@pytest.mark.parametrize("reply", ["no JSON", '{"other": 1}', "[]", "", '{"lines": 5}', '{"lines": []}'])
def test_a_reply_without_the_field_is_wrong(reply):
    """Neither unscored nor an error: it was asked for."""
    found = scored({"contains": "a", "field": "lines.0"}, reply, {"lines": ["a"]})
    assert (found.state, found.passed) == ("scored", False)
    assert found.reason.startswith("the reply ")


def test_an_expected_answer_without_the_field_is_a_defect_and_no_wrong_reply():
    """Who wrote it can mend it; no reply could be right."""
    spec = {"exact": None, "field": "queue"}
    assert defects(spec, {"que": "a"}) == ["the expected answer has no field 'queue'"]
    assert scored(spec, '{"queue": "a"}', {"que": "a"}).state == "error"


def _measuring(value: float, **options: bool) -> Validator:
    return Validator(
        "probe", "for this test", lambda _a, _w: Plain(lambda _m: graded(value, "", miss=1 - value)), **options
    )


@pytest.mark.parametrize(
    ("argument", "value", "passed"), [(0.5, 0.5, True), (0.5, 0.4999, False), (0.0, 0.0, True), (1, 1.0, True)]
)
def test_a_limit_decides_what_a_measure_is_worth(monkeypatch, argument, value, passed):
    """At the limit is good enough; without one it only measures."""
    monkeypatch.setitem(VALIDATORS._loaded, "probe", _measuring(value, measure="value"))
    assert scored({"probe": {"at_least": argument}}, "").passed is passed
    assert scored({"not-probe": {"at_least": argument}}, "").passed is not passed
    assert scored("probe", "").passed is None


def test_an_error_rate_has_an_upper_limit(monkeypatch):
    """Its value is still better where it is higher."""
    monkeypatch.setitem(VALIDATORS._loaded, "probe", _measuring(0.75, measure="miss", lower_is_better=True))
    found = scored({"probe": {"at_most": 0.25}}, "")
    assert (found.passed, found.value) == (True, 0.75)
    assert "miss 0.25, asked: at most 0.25" in found.reason
    with pytest.raises(ConfigError, match="better where it is lower: at_most"):
        made({"probe": {"at_least": 0.25}})


def test_a_limit_overrides_a_validators_own_verdict(monkeypatch):
    """All fields must be right, unless half of them are enough."""
    half = Validator(
        "probe", "", lambda _a, _w: Plain(lambda _m: Score("", value=0.5, passed=False)), measure="value", settles=True
    )
    monkeypatch.setitem(VALIDATORS._loaded, "probe", half)
    assert not scored("probe", "").passed
    assert scored("not-probe", "").passed
    assert scored({"probe": {"at_least": 0.5}}, "").passed


@pytest.mark.parametrize("broken", [ZeroDivisionError("x"), RecursionError("deep"), KeyError("k")])
def test_a_validator_that_fails_is_an_error_and_no_wrong_reply(monkeypatch, broken):
    """A score of 0 for a fault of ours would be a lie about the model."""

    def fail(_material: Material) -> Score:
        raise broken

    def fail_on_truth(_material: Material) -> list[str]:
        raise broken

    monkeypatch.setitem(VALIDATORS._loaded, "probe", Validator("probe", "", lambda _a, _w: Plain(fail, fail_on_truth)))
    found = scored({"probe": None, "weight": 3}, "yes")
    assert (found.state, found.value, found.passed, found.weight) == ("error", None, None, 3)
    assert type(broken).__name__ in found.reason
    assert type(broken).__name__ in defects("probe", "x")[0]


@pytest.mark.parametrize("value", [float("nan"), -0.1, 1.1, None])
def test_a_value_that_is_none_is_an_error(monkeypatch, value):
    """Means and intervals are made of these: one NaN would spoil them all."""
    wrong = Validator("probe", "", lambda _a, _w: Plain(lambda _m: Score("", value=value)))
    monkeypatch.setitem(VALIDATORS._loaded, "probe", wrong)
    assert scored("probe", "").state == "error"


def test_a_score_survives_its_journey():
    """To builtin types and back, parts and all."""
    found = scored({"any": [{"contains": "a"}, "exact"]}, "a", "b")
    assert found.parts[1].passed is False
    assert Score.from_dict(found.as_dict()) == found


def test_names_are_known_before_any_module_is_loaded():
    """A name that is taken or begins with `not-` cannot be registered."""
    assert {"exact", "any", "sql", "json-fields"} <= set(VALIDATORS)
    assert len(VALIDATORS) == len(list(VALIDATORS))
    for name in ("exact", "not-this"):
        with pytest.raises(UsageError, match="cannot be registered"):
            register(name, lambda text, _sample: verdict(bool(text), ""))
