"""Rubrics whose verdicts would say something else than their authors mean."""

from __future__ import annotations

import json
from typing import Any

import pytest

from pytest_llmbench.errors import ConfigError
from pytest_llmbench.judges.choosing import chosen
from pytest_llmbench.judges.matter import Matter
from pytest_llmbench.judges.rubric import Criterion, Rubric
from pytest_llmbench.judges.rubric_reading import read
from pytest_llmbench.judges.shipped import SHIPPED, shipped
from pytest_llmbench.judges.verdict import score_of

MATTER = Matter(question="What now?", reply="Do as you like.", source="Nobody knows.")
DISQUALIFYING = [
    ("coherence", "order"),
    ("coherence", "contradictions"),
    ("factuality", "unsupported"),
    ("factuality", "contradicted"),
    ("factuality", "certainty"),
    ("factuality", "sense"),
    ("helpfulness", "answers"),
    ("helpfulness", "misleading"),
    ("instruction-following", "task"),
    ("instruction-following", "breaches"),
    ("instruction-following", "form"),
    ("politeness", "tone"),
    ("politeness", "reproach"),
    ("safety", "harm"),
    ("safety", "hate"),
    ("safety", "private"),
    ("safety", "advice"),
    ("safety", "distress"),
]


def cell(one: Criterion, *, worst: bool = False) -> dict[str, Any]:
    """The best that a judge can say of a criterion, or the worst."""
    reason = {"reason": "It can be seen in the reply."}
    if one.kind == "violations":
        return {**reason, "violations": [{"quote": "", "what": "It is missing."}] if worst else []}
    if one.kind == "yes-no":
        return {**reason, "holds": not worst}
    return {**reason, "grade": one.lowest if worst else one.highest}


def passes(rubric: Rubric, worst: str = "") -> bool | None:
    """Whether a reply passes that is perfect but for one criterion."""
    cells = {one.id: cell(one, worst=one.id == worst) for one in rubric.criteria}
    return score_of(rubric, json.dumps({"criteria": cells}), judge="lab/j", matter=MATTER).passed


@pytest.mark.parametrize("name", SHIPPED)
def test_a_perfect_reply_passes_a_shipped_rubric(name: str) -> None:
    """Else the next test would show nothing."""
    assert passes(shipped(name)) is True


@pytest.mark.parametrize(("name", "worst"), DISQUALIFYING)
def test_what_a_shipped_rubric_is_about_cannot_be_made_up_for(name: str, worst: str) -> None:
    """Dangerous advice is not safe, and a broken instruction is not followed, whatever else is good."""
    assert passes(shipped(name), worst) is False


def test_a_paragraph_behind_the_list_belongs_to_no_criterion() -> None:
    """It would change what the last criterion, or its last anchor, says; indented, it carries the item on."""
    rubric = read(
        "# A\n\nFirst.\n\n## Criteria\n\n- **a**: So\n  it is.\n\n  Really.\n- **b**: x\n  - 1: bad\n  - 5: good\n\n"
        "Length does\nnot count.\n\nNor does style.\n\n- **c**: y\n",
        "r",
    )
    a, b, c = rubric.criteria
    assert (a.text, dict(b.scale), c.text) == ("So it is. Really.", {1: "bad", 5: "good"}, "y")
    assert rubric.text == "First.\n\nLength does\nnot count.\n\nNor does style."


@pytest.mark.parametrize(
    "item",
    ["**a**: (weight 3, must) So.", "**a:** (weight 3) So.", "**a**: So\n  (weight 3, must)", "**a**: So (must)."],
)
def test_options_at_another_place_are_no_text(item: str) -> None:
    """They would count for nothing, and nobody would see it."""
    with pytest.raises(ConfigError, match=r"^r:2: a: '\(.*\)\.?' means nothing there: - \*\*id\*\* \(weight 2"):
        read(f"## Criteria\n- {item}\n", "r")


@pytest.mark.parametrize("text", ["The discount (40 %)", "Must be so (by Monday)", "Says 'grade' (a)", "(Only) so"])
def test_other_brackets_are_text(text: str) -> None:
    """As people write them."""
    [only] = read(f"## Criteria\n- **a**: {text}\n", "r").criteria
    assert only.text == text


@pytest.mark.parametrize("word", ["toxicity", "rubrics/desk", "v1.2"])
def test_a_single_word_that_is_no_shipped_rubric_is_no_question(word: str) -> None:
    """A judge asked whether `toxicity` holds says yes of a toxic reply, and it would pass."""
    with pytest.raises(ConfigError, match=f"there is no rubric '{word}'") as error:
        chosen(word)
    assert "one of your own is a sentence, or a file" in str(error.value.hint)
    assert chosen("返信は丁寧である。").criteria[0].text == "返信は丁寧である。"


@pytest.mark.parametrize(
    ("rubric", "said"),
    [
        (Rubric("mine", ()), "criteria: the rubric has no criteria"),
        (Rubric("mine", (Criterion("kind", "Is kind."),)), "'kind' is a grade without anchors"),
        (Rubric("mine", (Criterion("kind", "Is kind.", "yes-no", weight=0.0),)), "must be a number above 0"),
        (Rubric("mine", (Criterion("kind", "Is kind.", "yes-no"),) * 2), "'kind' is the id of an earlier"),
    ],
)
def test_a_rubric_made_in_code_has_to_hold_together_as_well(rubric: Rubric, said: str) -> None:
    """Without criteria or weights there is no total, and nobody is asked before that is seen."""
    with pytest.raises(ConfigError) as error:
        chosen(rubric)
    assert said in str(error.value)
    assert chosen(shipped("safety")) is shipped("safety")
