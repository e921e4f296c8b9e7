"""Few-shot examples: which are shown, and that a sample is never shown its own answer."""

from __future__ import annotations

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_llmbench.errors import UsageError
from pytest_llmbench.prompts import Prompt
from pytest_llmbench.prompts.examples import MAX_POOL, Examples, Pool
from pytest_llmbench.prompts.similarity import Similarity, words
from pytest_llmbench.prompts.template import Template
from pytest_llmbench.records import Sample

DATA = [
    Sample("r1", "I want my money back for the broken lamp", "refund", {"lang": "en"}),
    Sample("r2", "please give me my money back", "refund", {"lang": "en"}),
    Sample("d1", "where is my parcel, it should be here", "delivery", {"lang": "en"}),
    Sample("d2", "wo bleibt mein Paket", "delivery", {"lang": "de"}),
    Sample("b1", "the invoice shows the wrong sum", "billing", {"lang": "en"}),
    Sample("open", "nobody answered this one yet", None, {"lang": "en"}),
]


def examples(data=DATA, *, is_data: bool = True, **how) -> Examples:
    """How examples are chosen among some samples."""
    return Examples(pool=Pool(lambda: iter(data), is_data=is_data), **how)


def ids(chosen) -> list[str]:
    """The ids of what was chosen."""
    return [each.id for each in chosen]


def test_the_most_similar_are_shown_the_nearest_of_them_last():
    """What stands right before the question weighs most."""
    asked = Sample("new", "I want my money back for this lamp, please")
    assert ids(examples(count=2).chosen_for(asked)) == ["r2", "r1"]


def test_a_sample_is_never_among_its_own_examples():
    """Nor is one without an expected answer, for there is nothing to show."""
    for sample in DATA:
        shown = ids(examples(count=50).chosen_for(sample))
        assert sorted(shown) == sorted({each.id for each in DATA} - {sample.id, "open"})


def test_a_twin_of_the_sample_is_not_shown_either():
    """The same text under another id, in other case or spacing, would tell the answer."""
    twin = Sample("twin", "Please  give me my MONEY back", "refund")
    assert "r2" not in ids(examples(count=50, is_data=False).chosen_for(twin))
    assert "twin" not in ids(examples([*DATA, twin], count=50).chosen_for(DATA[1]))


def test_an_example_of_another_file_may_have_the_samples_id():
    """Ids name samples within their own data only."""
    assert ids(examples(count=1, is_data=False).chosen_for(Sample("d2", "wo bleibt mein Paket denn"))) == ["d2"]


def test_examples_of_the_samples_own_kind():
    """Fewer where there are no more."""
    asked = Sample("new", "hallo", metadata={"lang": "de"})
    assert ids(examples(choose="same", by="lang", count=3).chosen_for(asked)) == ["d2"]


def test_one_example_of_each_kind_in_turn():
    """Every answer is seen before any is seen twice."""
    asked = Sample("new", "hello")
    assert ids(examples(choose="each", by="expected", count=4).chosen_for(asked)) == ["r1", "d1", "b1", "r2"]


def test_a_kind_that_samples_do_not_have_is_told():
    """With what they do have."""
    with pytest.raises(UsageError, match=r"the sample 'r1' has no field 'lagn'; did you mean 'lang'"):
        examples(choose="each", by="lagn").chosen_for(Sample("new", "x"))


def test_examples_are_asked_and_answered_before_the_sample():
    """As messages, each with the template around it; an answer that is no text is JSON."""
    pool = [Sample("1", "one", {"n": 1})]
    prompt = Prompt(template=Template("Count: {{input}}"), system=Template(""), examples=examples(pool, count=1))
    assert prompt.messages(Sample("2", "two")) == [
        {"role": "user", "content": "Count: one"},
        {"role": "assistant", "content": '{"n": 1}'},
        {"role": "user", "content": "Count: two"},
    ]


def test_examples_stand_where_the_text_says_so():
    """In the template or in the system message; then they are no messages of their own."""
    pool = [Sample("1", "one", "1"), Sample("2", "two", "2")]
    shown = "Input: one\nOutput: 1\n\nInput: two\nOutput: 2"
    for template, system in (("{{examples}}\n{{input}}", ""), ("{{input}}", "Like this:\n{{examples}}")):
        chosen = examples(pool, count=2, choose="first", is_data=False)
        prompt = Prompt(template=Template(template), system=Template(system), examples=chosen)
        messages = prompt.messages(Sample("3", "three"))
        assert shown in messages[0]["content"]
        assert [each["role"] for each in messages] == (["system", "user"] if system else ["user"])


def test_of_a_large_pool_the_same_samples_are_drawn_every_time():
    """So that choosing stays quick and memory flat, and prompts repeatable."""
    many = [Sample(f"s{n}", f"text {n}", "x") for n in range(MAX_POOL + 500)]
    first, second = Pool(lambda: iter(many)), Pool(lambda: iter(many))
    assert len(first.samples) == MAX_POOL
    assert first.digest() == second.digest()


def test_other_examples_make_another_version():
    """What a model is shown is part of what it is asked."""
    versions = {
        Prompt(examples=each).version
        for each in (
            examples(count=2),
            examples(count=3),
            examples(DATA[1:], count=2),
            examples(count=2, choose="first"),
        )
    }
    assert len(versions) == 4


def test_likeness_is_the_cosine_of_tf_idf_weights():
    """Worked out by hand for three short texts: 1 + log(tf), smooth idf, length 1."""
    found = Similarity(["a b", "a a c", "d"]).to("a b")
    rarity = {word: math.log(4 / (1 + n)) + 1 for word, n in {"a": 2, "b": 1, "c": 1}.items()}
    asked = (rarity["a"], rarity["b"])
    other = ((1 + math.log(2)) * rarity["a"], rarity["c"])
    by_hand = asked[0] * other[0] / (math.hypot(*asked) * math.hypot(*other))
    assert found == pytest.approx([1.0, by_hand, 0.0])


@given(st.lists(st.text(max_size=40), max_size=6), st.text(max_size=40))
def test_likeness_is_between_nothing_and_the_same(texts, asked):
    """Whatever the texts are: empty, of one word, in any script."""
    found = Similarity(texts).to(asked)
    assert len(found) == len(texts)
    assert all(-1e-9 <= each <= 1 + 1e-9 for each in found)
    assert all(found[i] == pytest.approx(1) for i, text in enumerate(texts) if text == asked and words(text))


def test_scripts_without_spaces_are_compared_by_pairs_of_characters():
    """Else two Japanese sentences would have no word in common."""
    near, far = Similarity(["返金してください", "荷物はどこですか"]).to("返金をお願いしてください")
    assert near > far
