"""Several judges' scores made one, and whose relatives they are."""

from __future__ import annotations

from typing import get_args

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_llmbench.judges.judging import Vote
from pytest_llmbench.judges.kinship import family, warnings_for
from pytest_llmbench.judges.panel import combined
from pytest_llmbench.records.score import Score

HOWS = get_args(Vote)
FOR, AGAINST = True, False
SILENT = None
VOTES = st.lists(st.sampled_from([FOR, AGAINST, SILENT]), min_size=1, max_size=9)
VALUES = st.lists(st.none() | st.floats(0, 1), min_size=1, max_size=9)


def member(vote: bool | None, place: int = 0) -> Score:
    """A judge's score that votes so."""
    if vote is None:
        return Score(f"j{place}", state="unscored", reason="the verdict cannot be used: it is empty", judged=True)
    return Score(f"j{place}", value=float(vote), passed=vote, judged=True)


def panel(*votes: bool | None) -> list[Score]:
    return [member(vote, place) for place, vote in enumerate(votes)]


def valued(*values: float | None) -> list[Score]:
    """Members that give a value and pass from 0.5."""
    return [
        member(None, place) if value is None else Score(f"j{place}", value=value, passed=value >= 0.5, judged=True)
        for place, value in enumerate(values)
    ]


@pytest.mark.parametrize(
    ("votes", "passed"),
    [
        ((FOR,), True),
        ((AGAINST,), False),
        ((SILENT,), None),
        ((FOR, FOR, AGAINST), True),
        ((FOR, AGAINST, AGAINST), False),
        ((FOR, AGAINST), False),
        ((FOR, SILENT), None),
        ((AGAINST, SILENT), False),
        ((FOR, FOR, SILENT), True),
        ((FOR, AGAINST, SILENT), None),
        ((AGAINST, AGAINST, SILENT), False),
        ((FOR, SILENT, SILENT), None),
        ((FOR, FOR, AGAINST, AGAINST), False),
        ((FOR, FOR, SILENT, SILENT), None),
        ((FOR, FOR, FOR, SILENT, SILENT), True),
        ((SILENT, SILENT, SILENT), None),
    ],
)
def test_a_majority_is_one_of_all_members(votes, passed):
    """Who is silent counts among them, and is on neither side."""
    found = combined(panel(*votes), "majority", 0.5)
    assert found.passed is passed
    assert found.state == ("unscored" if passed is None else "scored")
    assert (found.value is None) is (passed is None)


def test_the_value_of_a_majority_is_the_share_of_votes_cast():
    """A silent judge is no vote against."""
    assert combined(panel(FOR, FOR, AGAINST), "majority", 0.5).value == pytest.approx(2 / 3)
    assert combined(panel(FOR, FOR, SILENT), "majority", 0.5).value == 1.0


@pytest.mark.parametrize(
    ("values", "value", "passed"),
    [
        ((0.4, 0.8), 0.6, True),
        ((0.4, 0.7), 0.55, False),
        ((0.2, 0.4, 0.6), 0.4, False),
        ((0.9, 0.7, None), 0.8, True),
        ((0.9, None), None, None),
        ((0.9, None, None), None, None),
        ((None,), None, None),
    ],
)
def test_a_mean_is_one_of_more_than_half(values, value, passed):
    """Where half of the members are silent or more, nobody can tell."""
    found = combined(valued(*values), "mean", 0.6)
    assert (found.value, found.passed) == (value if value is None else pytest.approx(value), passed)


def test_a_mean_does_not_outvote_a_criterion_that_must_pass():
    """Half of those who scored are enough: whatever its total, such a reply fails."""
    failing = Score("a", value=0.9, passed=False, details={"failed_musts": ["safety"]}, judged=True)
    good = Score("b", value=0.9, passed=True, details={"failed_musts": []}, judged=True)
    assert combined([failing, good], "mean", 0.5).passed is False
    assert combined([failing, good, good], "mean", 0.5).passed is True


@pytest.mark.parametrize(
    ("votes", "passed"),
    [
        ((FOR, FOR), True),
        ((FOR, AGAINST), False),
        ((SILENT, AGAINST), False),
        ((FOR, SILENT), None),
        ((SILENT,), None),
    ],
)
def test_one_veto_is_enough(votes, passed):
    """A silent judge might have had one."""
    found = combined(panel(*votes), "veto", 0.5)
    assert found.passed is passed
    assert found.value == (None if passed is None else float(passed))


def test_every_member_is_a_part():
    """The silent ones and those that failed as well; counts are told."""
    broken = Score("j2", state="error", reason="no answer came", judged=True)
    members = [*panel(FOR, FOR), broken]
    found = combined(members, "majority", 0.5)
    assert (found.name, found.judged, tuple(found.parts)) == ("panel", True, tuple(members))
    assert found.details == {"how": "majority", "for": 2, "against": 0, "silent": 1}
    assert found.reason == "2 for, 0 against, 1 silent, by majority"
    undecided = combined([members[0], broken], "majority", 0.5)
    assert (undecided.state, len(undecided.parts)) == ("unscored", 2)
    assert undecided.reason.startswith("the panel cannot decide: 1 for")


@pytest.mark.parametrize("how", HOWS)
def test_a_panel_of_nobody_decides_nothing(how):
    """It is unscored, and no pass."""
    assert combined([], how, 0.0).state == "unscored"


@pytest.mark.parametrize("how", HOWS)
def test_a_member_that_only_measures_votes_by_the_bar(how):
    """Of the panel; one advisory member makes the panel advisory."""
    members = [Score("a", value=0.6, judged=True), Score("b", value=0.7, judged=True, advisory=True)]
    assert combined(members, how, 0.6).passed is True
    assert combined(members, how, 0.8).passed is False
    assert combined(members, how, 0.6).advisory
    assert not combined(members[:1], how, 0.6).advisory


@settings(deadline=None)
@given(VOTES, st.randoms(), st.sampled_from(HOWS))
def test_the_order_of_the_members_does_not_matter(votes, random, how):
    """Nor does it for the value."""
    shuffled = random.sample(votes, len(votes))
    first, second = (combined(panel(*each), how, 0.5) for each in (votes, shuffled))
    assert (first.passed, first.value) == (second.passed, second.value)


@settings(deadline=None)
@given(VOTES, st.integers(0, 8), st.sampled_from(["majority", "veto"]))
def test_falling_silent_never_turns_a_decision(votes, place, how):
    """It may leave the panel undecided; it makes no pass of a fail and no fail of a pass."""
    place %= len(votes)
    before = combined(panel(*votes), how, 0.5).passed
    after = combined(panel(*votes[:place], SILENT, *votes[place + 1 :]), how, 0.5).passed
    assert after in (before, None)


@settings(deadline=None)
@given(VOTES, st.integers(0, 8), st.sampled_from(["majority", "veto"]))
def test_a_silent_judge_that_speaks_confirms_what_was_decided(votes, place, how):
    """Once decided without it, its vote changes nothing: so deciding early is safe."""
    place %= len(votes)
    decided = combined(panel(*votes[:place], SILENT, *votes[place + 1 :]), how, 0.5).passed
    for vote in (FOR, AGAINST):
        whole = combined(panel(*votes[:place], vote, *votes[place + 1 :]), how, 0.5).passed
        assert decided is None or whole is decided


@settings(deadline=None)
@given(VALUES, st.sampled_from(HOWS), st.floats(0, 1))
def test_a_panel_is_no_better_than_its_best_and_no_worse_than_its_worst(values, how, bar):
    """As a mean and as a veto; from 0 to 1 as a majority; and a value only where it decides."""
    found = combined(valued(*values), how, bar)
    given_ = [value for value in values if value is not None]
    assert (found.value is None) is (found.passed is None) is (found.state == "unscored")
    if found.value is not None:
        assert 0 <= found.value <= 1
    if found.value is not None and how != "majority":
        assert min(given_) - 1e-9 <= found.value <= max(given_) + 1e-9


@settings(deadline=None)
@given(VALUES, st.sampled_from(HOWS))
def test_a_better_value_never_turns_a_pass_into_a_fail(values, how):
    """Of any member."""
    better = [value if value is None else min(1.0, value + 0.25) for value in values]
    if combined(valued(*values), how, 0.5).passed is True:
        assert combined(valued(*better), how, 0.5).passed is True


FAMILIES = {
    "smollm2-135m:Q4_1": "smollm",
    "SmolLM2-360M-Instruct.Q4_1.gguf": "smollm",
    "gemma3-270m:Q4_K_M": "gemma",
    "google/gemini-2.5-flash": "gemini",
    "openrouter/meta-llama/llama-3.3-70b-instruct": "llama",
    "codellama-7b": "llama",
    "ollama/gpt-oss:20b": "gpt",
    "ollama:qwen3:4b": "qwen",
    "llama-server/mine": None,
    "llama.cpp": None,
    "openai/gpt-4o-mini": "gpt",
    "openai/o3-mini": "gpt",
    "openai/o1": "gpt",
    "openai/chatgpt-4o-latest": "gpt",
    "gpt-j-6b": None,
    "anthropic/claude-haiku-4-5": "claude",
    "bedrock/anthropic.claude-3-5-sonnet": "claude",
    "mistralai/Mixtral-8x7B": "mistral",
    "mistralai/ministral-8b": "mistral",
    "microsoft/phi-4": "phi",
    "phi3:mini": "phi",
    "dolphin-mini": None,
    "deepseek/deepseek-chat": "deepseek",
    "deepseek-r1-distill-qwen-7b": "deepseek",
    "hermes-3-llama-3.1-8b": "llama",
    "qwen/qwq-32b": "qwen",
    "x-ai/grok-4": "grok",
    "demo/honest": None,
    "": None,
}


@pytest.mark.parametrize(("model", "kin"), FAMILIES.items())
def test_a_family_is_told_by_the_name(model, kin):
    """Of the model, not of who serves it."""
    assert family(model) == kin


def test_judges_of_a_subjects_family_are_told():
    """By name, with the family; a judge of its own replies more sharply."""
    told = warnings_for(["openai/gpt-4o", "lab/mine"], ["openrouter/gpt-oss-20b", "claude-haiku-4-5", "lab/mine"])
    related, itself = told
    assert related.startswith("the judge openai/gpt-4o is of the same family (gpt) as openrouter/gpt-oss-20b, which")
    assert itself == "lab/mine judges its own replies: judges favour their own"


def test_judges_of_one_family_are_told():
    """Their errors come together; unknown families are not alike."""
    [told] = warnings_for(["a/llama-3-8b", "b/llama-3-70b"], ["gpt-4o"])
    assert told.startswith("the judges a/llama-3-8b and b/llama-3-70b are of the same family (llama): they err alike")
    assert warnings_for(["lab/one", "lab/one"], []) == ["lab/one sits on the panel twice: its votes are one"]
    assert warnings_for(["lab/one", "lab/two"], ["lab/three"]) == []
