"""Damage to samples: what is expected, ids, roles and media stay, and letters follow their options."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from pytest_llmbench.corruption import applied, named_all
from pytest_llmbench.corruption.choices import reordered
from pytest_llmbench.corruption.strategies import damaged_samples, damaged_texts
from pytest_llmbench.errors import UsageError
from pytest_llmbench.records import Sample

ALL = named_all(
    ["typos-10", "missing-words", "casing", "whitespace", "malformed-json", "distractors-2", "paraphrase"], "--corrupt"
)
SAID = 'Please read {"order": 12, "city": "Oslo"} and tell me where the parcel went.'
OPTIONS = st.lists(st.from_regex(r"[a-z]{2,8}", fullmatch=True), min_size=2, max_size=8, unique=True)


def messages(content: Any) -> list[Mapping[str, Any]]:
    return [
        {"role": "system", "content": "Answer in one word."},
        {"role": "user", "content": "An earlier question that stays."},
        {"role": "assistant", "content": "An answer that stays."},
        {"role": "user", "content": content},
    ]


def as_lines(options: list[str], form: str) -> str:
    lines = (form.format(letter=chr(65 + at), text=text) for at, text in enumerate(options))
    return "\n".join(["Which one is it?", *lines, "Answer with the letter."])


@pytest.mark.parametrize("kind", ALL, ids=lambda kind: kind.label)
def test_only_the_last_message_of_the_user_is_changed(kind):
    """Roles, earlier messages, pictures, the id and what is expected stay; the clean sample does, too."""
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AA=="}}
    parts = [{"type": "text", "text": "Look:"}, picture, {"type": "text", "text": SAID}]
    sample = Sample("s1", messages(parts), {"city": "Oslo"}, {"paraphrase": "Where did it go?"})
    found = applied(kind, sample)
    assert found is not None
    assert (found.asked.id, found.asked.expected, found.asked.clean) == ("s1", {"city": "Oslo"}, sample)
    assert found.scored is sample
    assert list(found.asked.input[:3]) == messages("")[:3]
    *kept, changed = found.asked.input[3]["content"]
    assert kept == parts[:2]
    assert changed["text"] != SAID
    assert sample.input[3]["content"][2]["text"] == SAID


def test_a_column_that_is_the_input_changes_with_it():
    """A prompt may call it `{{question}}`; other columns stay, unless they are named."""
    [kind] = named_all(["casing-upper"], "--corrupt")
    sample = Sample("s1", "why not", "because", {"question": "why not", "topic": "logic"})
    found = applied(kind, sample)
    assert found is not None
    assert found.asked.input == "WHY NOT"
    assert found.asked.metadata == {"question": "WHY NOT", "topic": "logic"}
    named = applied(kind, Sample("s1", "", "x", {"topic": "logic", "n": 3}), columns=["topic", "n"])
    assert named is not None
    assert named.asked.metadata == {"topic": "LOGIC", "n": 3}


@pytest.mark.parametrize("said", ["", "12 34", messages(""), [{"role": "system", "content": "words"}], messages([])])
def test_a_sample_without_a_text_is_left_out(said):
    """There is nothing in it that typos could hit."""
    [kind] = named_all(["typos-10"], "--corrupt")
    assert applied(kind, Sample("s1", said)) is None


def test_another_seed_or_sample_is_another_damage():
    """And the same one is the same, whatever else is asked."""
    [kind] = named_all(["typos-50"], "--corrupt")
    one, again = applied(kind, Sample("s1", SAID)), applied(kind, Sample("s1", SAID))
    other, seeded = applied(kind, Sample("s2", SAID)), applied(kind, Sample("s1", SAID), seed=1)
    assert one == again
    assert len({found.asked.input for found in (one, other, seeded) if found}) == 3


@given(options=OPTIONS, data=st.data(), seed=st.integers(0, 2**32))
def test_the_expected_letter_follows_its_option(options, data, seed):
    """Read by letter, the reordered question has the same right answer; every option moved."""
    right = data.draw(st.integers(0, len(options) - 1))
    form = data.draw(
        st.sampled_from(["{letter}) {text}", "{letter}. {text}", "({letter}) {text}", "  {letter}: {text}"])
    )
    letter = chr(65 + right)
    sample = Sample("q", as_lines(options, form), data.draw(st.sampled_from([letter, f"({letter})", letter.lower()])))
    found = reordered(sample, seed)
    assert found is not None
    shown = [line.split(maxsplit=1)[1] for line in str(found.input).splitlines()[1:-1]]
    place = ord(str(found.expected).strip("()").upper()) - 65
    assert sorted(shown) == sorted(options)
    assert shown[place] == options[right]
    assert all(old != new for old, new in zip(options, shown, strict=True))
    assert str(found.expected).replace(chr(65 + place), "").replace(chr(97 + place), "") == str(
        sample.expected
    ).replace(letter, "").replace(letter.lower(), "")


@given(options=OPTIONS, data=st.data(), seed=st.integers(0, 2**32))
def test_options_of_a_column_are_reordered_as_those_in_the_text(options, data, seed):
    """The column, its place and the lines tell the same question."""
    right = data.draw(st.integers(0, len(options) - 1))
    asked = data.draw(st.sampled_from(["Which one?", as_lines(options, "{letter}) {text}")]))
    expected = data.draw(st.sampled_from([right, chr(65 + right), options[right], [chr(65 + right)]]))
    found = reordered(Sample("q", asked, expected, {"options": options, "topic": "x"}), seed)
    assert found is not None
    shown = found.metadata["options"]
    if isinstance(expected, int):
        assert shown[found.expected] == options[right]
    elif expected == options[right]:
        assert found.expected == expected
    else:
        letter = found.expected[0]
        assert shown[ord(letter) - 65] == options[right]
    if asked != "Which one?":
        assert [line.split(maxsplit=1)[1] for line in str(found.input).splitlines()[1:-1]] == shown


@pytest.mark.parametrize(
    ("asked", "expected", "columns"),
    [
        ("Name a city.", "Oslo", {}),
        ("A) one\nC) three", "A", {}),
        ("A) one\nB) two", "C", {}),
        ("A) one\nB) two", None, {}),
        ("A) one\nB) two", {"why": "A"}, {}),
        ("A) one\nB) two\nC) all of the above", "A", {}),
        ("A) one\nB) two\nC) both A and B", "A", {}),
        ("A) one\nB) one", "A", {}),
        ("A) one\nB) two", "A", {"options": ["one", "two", "three"]}),
        ("Which?", True, {"options": ["one", "two"]}),
        ("Which?", 2, {"options": ["one", "two"]}),
        ("Which?", "A", {"options": ["B", "A"]}),
        ("Which?", "A", {"options": ["one"]}),
    ],
)
def test_what_nobody_can_reorder_is_left_out(asked, expected, columns):
    """Else the expected answer would be wrong, which no reader could tell from a wrong reply."""
    assert reordered(Sample("q", asked, expected, columns), 1) is None


def test_a_reordered_sample_is_scored_as_it_was_asked():
    """The clean one is kept for its examples and its weight."""
    [kind] = named_all(["reordered-choices"], "--corrupt")
    sample = Sample("q", "A) one\nB) two", "A")
    found = applied(kind, sample)
    assert found is not None
    assert (found.scored.input, found.scored.expected) == ("A) two\nB) one", "B")
    assert found.asked.clean is sample


@given(said=damaged_texts("My parcel 4711 never came."))
def test_drawn_damage_keeps_numbers(said):
    """As the how-to asserts of a model."""
    assert "4711" in said
    assert said != "My parcel 4711 never came."


@given(sample=damaged_samples(Sample("q", "A) one\nB) two", "A"), "reordered-choices", "casing-upper"))
def test_drawn_samples_have_their_own_expected_answer(sample):
    """Whether options were reordered, and so what is right, stands in the sample."""
    assert (sample.input, sample.expected) in {("A) two\nB) one", "B"), ("A) ONE\nB) TWO", "A")}


def test_nothing_to_draw_from_is_an_error():
    """Told where the test is defined."""
    with pytest.raises(UsageError, match="malformed-json can do anything"):
        damaged_texts("no JSON", "malformed-json")
