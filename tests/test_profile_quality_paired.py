"""Two quantizations beside each other: which is the reference, and what is significant."""

from __future__ import annotations

import pytest
from quality_samples import an_answer, answered, of_repetitions

from pytest_llmbench.profiles.quality_answers import answers, counts
from pytest_llmbench.profiles.quality_paired import bits, compare, family, find_reference, holm
from pytest_llmbench.profiles.quality_report import conclude


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("smollm2-135m:Q4_1", ("smollm2-135m", "Q4_1")),
        ("smollm2-135m:Q8_0 (requantized from Q4_1)", ("smollm2-135m", "Q8_0")),
        ("/models/SmolLM2-135M-Q4_K_M.gguf", ("smollm2-135m", "Q4_K_M")),
        ("./gemma.f16.gguf", ("gemma", "F16")),
        ("ollama/llama3.2:3b-instruct-q4_K_M", ("ollama/llama3.2:3b-instruct", "Q4_K_M")),
        ("lab/qwen-UD-IQ2_XXS", ("lab/qwen", "UD-IQ2_XXS")),
        ("ollama/llama3.2:3b", ("ollama/llama3.2:3b", "")),
        ("openai/gpt-4", ("openai/gpt-4", "")),
    ],
)
def test_a_name_is_cut_into_family_and_quantization(name: str, expected: tuple[str, str]) -> None:
    """Sizes of a model (3b) are no quantizations: 1b is never compared with 3b."""
    assert family(name) == expected


def test_quantizations_are_ordered_by_their_bits() -> None:
    """As their files' sizes are; unquantized ones come first."""
    ordered = ["F32", "F16", "Q8_0", "Q6_K", "Q5_1", "Q5_K_M", "Q4_1", "Q4_K_M", "Q4_K_S", "Q3_K_L", "IQ3_XXS", "Q2_K"]
    sizes = [bits(quant) or 0 for quant in ordered]
    assert sizes == sorted(sizes, reverse=True)
    assert bits("FP16") == bits("F16") == bits("BF16") == 16
    assert bits("UD-Q4_K_XL") == pytest.approx(5.2)
    assert bits("") is None


def test_the_largest_quantization_of_the_same_model_is_the_reference() -> None:
    """Not another model's, and none that is smaller than the one measured; unquantized wins."""
    here = answered("m:Q4_0")
    earlier = [answered("m:Q8_0"), answered("m:Q5_1"), answered("other:F16"), answered("m:Q2_K")]
    assert find_reference(here, earlier) == (earlier[0], "")
    unquantized = answered("m:F16")
    assert find_reference(here, [*earlier, unquantized]) == (unquantized, "")
    again = answered("m:Q8_0", wrong=[1])
    assert find_reference(here, [*earlier, again])[0] is again
    assert find_reference(answered("m:F16"), earlier) == (None, "")
    assert find_reference(answered("m"), earlier) == (None, "")


def test_other_questions_are_never_compared() -> None:
    """Nor are the same ones under other settings; a reference that was named is told about."""
    here = answered("m:Q4_0")
    assert find_reference(here, [answered("m:Q8_0", questions_sha256="bb")]) == (None, "")
    assert find_reference(here, [answered("m:Q8_0", output_tokens=128)]) == (None, "")
    named = answered("m:Q4_0", reference="m:Q8_0")
    assert find_reference(named, [answered("m:Q8_0", output_tokens=128)])[1] == (
        "not compared with m:Q8_0: it was measured with another output_tokens"
    )


@pytest.mark.parametrize("named", ["M:Q6_K", "Q6_K", "m:Q6_K (requantized from Q8_0)"])
def test_a_reference_can_be_named(named: str) -> None:
    """By its name, with or without where it was made from, or by its quantization; it need not be the larger one."""
    six, eight = answered("m:Q6_K (requantized from Q8_0)"), answered("m:Q8_0")
    assert find_reference(answered("m:Q8_K", reference=named), [six, eight])[0] is six
    assert find_reference(answered("other", reference="m:Q6_K"), [six, eight])[0] is six


def test_a_named_reference_that_was_not_measured_is_said() -> None:
    """Nothing else is taken in its place."""
    concluded = conclude(answered("m:Q4_0", reference="m:F16"), [answered("m:Q8_0")])
    assert concluded.notes == ("not compared with m:F16: this run has no earlier quality measurement of it",)
    assert "accuracy_change" not in concluded.scalars
    assert "degraded" not in concluded.scalars


def test_what_is_significantly_worse_is_flagged() -> None:
    """Ten lost and one won of 30: p = 0.0117 by the exact test, known from its definition."""
    concluded = conclude(answered("m:Q4_0", wrong=range(10)), [answered("m:Q8_0", wrong=[29])])
    assert concluded.scalars["degraded"] == 1
    assert concluded.scalars["accuracy_change"] == pytest.approx(-9 / 30)
    assert "significantly worse against m:Q8_0: -30 points" in concluded.sentence
    assert "10 lost and 1 won of 30, p = 0.012" in concluded.sentence
    table = next(table for table in concluded.tables if table.name == "against_reference")
    assert table.rows[0][:4] == ("all", 30, 10, 1)
    assert table.rows[0][-1] == "worse"


def test_noise_is_not_flagged_and_the_smallest_detectable_change_is_told() -> None:
    """Four lost and none won of 30: p = 0.125. The unpaired accuracies alone would say 87 against 100 %."""
    concluded = conclude(answered("m:Q4_0", wrong=range(4)), [answered("m:Q8_0")])
    assert concluded.scalars["degraded"] == 0
    assert "no difference detectable (4 lost and 0 won of 30, smallest detectable change" in concluded.sentence


def test_many_changes_both_ways_are_no_degradation() -> None:
    """Pairing looks at the items, not at two accuracies: eight lost and seven won are a change of one item."""
    found = compare(answered("m:Q4_0", wrong=range(8)), answered("m:Q8_0", wrong=range(10, 17)))
    assert found is not None
    assert (len(found.lost), len(found.won), found.degraded) == (8, 7, False)


def test_better_is_no_degradation() -> None:
    """A significant change for the better is said and not flagged."""
    concluded = conclude(answered("m:Q4_0"), [answered("m:Q8_0", wrong=range(12))])
    assert concluded.scalars["degraded"] == 0
    assert "significantly better against m:Q8_0: +40 points" in concluded.sentence


def test_a_category_that_broke_down_is_flagged_though_the_rest_hides_it() -> None:
    """Nine of 30 in one category lost and nine of 60 elsewhere won: nothing over all, and yet it broke down."""
    lost, won = [3 * i for i in range(9)], [3 * i + 1 for i in range(9)]
    found = compare(answered("m:Q4_0", wrong=lost, n=90), answered("m:Q8_0", wrong=won, n=90))
    assert found is not None
    assert found.overall.verdict == "no difference detectable"
    assert {part.name: part.verdict for part in found.categories} == {
        "maths": "worse",
        "logic": "better",
        "facts": "no difference detectable",
    }
    assert found.degraded


def test_categories_are_corrected_for_their_number() -> None:
    """Six lost of one category are p = 0.031 by themselves, and 0.094 as the worst of three."""
    found = compare(answered("m:Q4_0", wrong=[3 * i for i in range(6)], n=60), answered("m:Q8_0", n=60))
    assert found is not None
    maths = found.categories[0]
    assert maths.pairs.p_value == pytest.approx(2 * 0.5**6)
    assert maths.p_adjusted == pytest.approx(3 * 2 * 0.5**6)
    assert maths.verdict == "no difference detectable"


def test_holm_as_in_the_textbook() -> None:
    """Steps down from the smallest, never below the one before, never above 1."""
    assert holm([0.01, 0.04, 0.03, 0.005]) == pytest.approx([0.03, 0.06, 0.06, 0.02])
    assert holm([0.6, 0.9]) == [1.0, 1.0]
    assert holm([]) == []


def test_items_that_one_of_the_two_was_not_scored_on_are_left_out() -> None:
    """An item without a score is neither lost nor won, and no part of the accuracy."""
    partly = of_repetitions("m:Q4_0", [an_answer(i, None if i < 5 else True) for i in range(30)])
    found = compare(partly, answered("m:Q8_0"))
    assert found is not None
    assert (found.overall.pairs.n, found.left_out, found.lost) == (25, 5, ())
    concluded = conclude(partly, [])
    compared = next(t for t in conclude(partly, [answered("m:Q8_0")]).tables if t.name == "against_reference")
    assert "5 items were left out" in compared.note
    assert concluded.scalars["accuracy"] == 1
    assert concluded.notes[0] == "5 replies could not be scored and count neither way: nobody knows"


def test_nothing_scored_is_not_measured_and_not_zero() -> None:
    """No accuracy at all, and no comparison."""
    nothing = of_repetitions("m:Q4_0", [an_answer(i, None) for i in range(3)])
    concluded = conclude(nothing, [answered("m:Q8_0", n=3)])
    assert concluded.scalars == {}
    assert concluded.sentence == "no answer could be scored"
    assert concluded.tables[0].rows[0][:6] == ("all", 0, 0, None, None, None)


def test_repeats_are_one_answer_by_their_majority() -> None:
    """A tie is wrong; asking three times makes no three items of one."""
    asked = [an_answer(0, ok, repeat=r) for r, ok in enumerate([True, True, False])]
    asked += [an_answer(1, ok, repeat=r) for r, ok in enumerate([True, False])]
    asked += [an_answer(2, True, repeat=r) for r in range(3)]
    given = answers(of_repetitions("m:Q4_0", asked))
    assert {item: (a.correct, a.steady) for item, a in given.items()} == {
        "q0": (True, False),
        "q1": (False, False),
        "q2": (True, True),
    }
    concluded = conclude(of_repetitions("m:Q4_0", asked), [])
    assert "67 % of 3 questions" in concluded.sentence
    assert concluded.notes[0] == "2 items were answered now right, now wrong in their repeats: the majority decides"


def test_accuracy_is_told_by_category_and_difficulty_with_its_interval() -> None:
    """Wilson's interval, n beside every share."""
    overall, by_category, by_difficulty = counts(answers(answered("m:Q4_0", wrong=range(0, 30, 3))).values())
    assert (overall.n, overall.right) == (30, 20)
    assert {name: count.right for name, count in by_category.items()} == {"maths": 0, "logic": 10, "facts": 10}
    assert {name: count.n for name, count in by_difficulty.items()} == {"easy": 15, "hard": 15}
    concluded = conclude(answered("m:Q4_0", wrong=range(0, 30, 3)), [])
    assert concluded.sentence == "67 % of 30 questions answered right (49–81 %)"
    assert [row[0] for row in concluded.tables[0].rows] == ["all", "maths", "logic", "facts"]


def test_replies_that_were_cut_off_are_said() -> None:
    """They count as what they are, wrong more often than not; the reader learns why."""
    cut = of_repetitions("m:Q4_0", [an_answer(i, i > 1, **({"truncated": True} if i < 2 else {})) for i in range(5)])
    concluded = conclude(cut, [])
    assert concluded.notes[0] == "2 replies were cut off at 64 tokens: give more output_tokens"
    assert "2 replies cut off before their end" in concluded.sentence


@pytest.mark.parametrize(("n", "said"), [(9, "3 questions in each, one answer more or less"), (30, "")])
def test_a_grade_from_a_handful_of_questions_a_category_is_said_to_be_coarse(n: int, said: str) -> None:
    """Three questions a category give 0, 33, 67 or 100 %, and the worst of several is the grade."""
    notes = " ".join(conclude(answered("m:Q4_0", n=n), []).notes)
    assert (said in notes) if said else "worst category" not in notes


def test_a_reference_that_is_measured_last_is_compared_all_the_same() -> None:
    """The order of a parametrized test is not always from large to small."""
    small = answered("m:Q4_0", wrong=range(10))
    concluded = conclude(answered("m:Q8_0"), [small])
    assert "degraded" not in concluded.scalars
    assert len(concluded.notes) == 1
    assert concluded.notes[0].startswith("m:Q4_0: significantly worse against m:Q8_0")
