"""Damage to texts: the same every time, as much as was asked, and never so much that nothing is left."""

from __future__ import annotations

import json
import re

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from pytest_llmbench.corruption.json_flaws import malformed_json
from pytest_llmbench.corruption.plain import casing, distractors, missing_words, sentences, whitespace
from pytest_llmbench.corruption.registry import CORRUPTIONS
from pytest_llmbench.corruption.spans import gaps, how_many, tokens, words
from pytest_llmbench.corruption.typos import NEIGHBOURS, typos

TEXT_KINDS = [kind for kind in CORRUPTIONS.values() if kind.change is not None]
SEEDS = st.integers(0, 2**64 - 1)
SHARES = st.sampled_from([0.05, 0.1, 0.15, 0.5, 1.0])
PROSE = st.lists(
    st.one_of(st.from_regex(r"[a-zA-Zäöüß]{1,9}", fullmatch=True), st.sampled_from(["12", "A)", "it's", "(b)", "4.5"])),
    min_size=1,
    max_size=40,
).map(" ".join)
WILD = st.text(max_size=80)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=5), inner, max_size=4),
    max_leaves=12,
).filter(lambda value: isinstance(value, dict | list) and bool(value))


@pytest.mark.parametrize("kind", TEXT_KINDS, ids=lambda kind: kind.name)
@given(text=WILD | PROSE, seed=SEEDS)
@settings(max_examples=60)
def test_the_same_seed_gives_the_same_damage(kind, text, seed):
    """A run that is resumed, or another process of it, asks the very same."""
    assert kind.change(text, kind.strength, seed) == kind.change(text, kind.strength, seed)


@pytest.mark.parametrize("kind", TEXT_KINDS, ids=lambda kind: kind.name)
@given(text=WILD | PROSE, seed=SEEDS)
@settings(max_examples=60)
@example(text="a", seed=0)
@example(text="ab cd", seed=1)
def test_no_text_becomes_empty(kind, text, seed):
    """A model that is asked nothing tells nothing."""
    strength = 3 if kind.counts == "count" else 1.0
    assert bool(kind.change(text, strength, seed).strip()) or not text.strip()


def _words_of(text: str, damaged: str) -> tuple[str, ...]:
    """What stands in place of each word; what is no word has to be as it was."""
    pieces = re.split(r"[^\W\d_]{2,}", text)
    found = re.fullmatch(r"([^\W\d_]+)".join(map(re.escape, pieces)), damaged)
    assert found is not None
    return found.groups()


@given(text=PROSE, strength=SHARES, seed=SEEDS)
def test_typos_hit_the_share_of_words_that_was_asked(text, strength, seed):
    """One slip a word, rounded, one at least; whatever is no word of letters stays."""
    before = [text[start:end] for start, end in words(text)]
    after = _words_of(text, typos(text, strength, seed))
    hit = sum(old != new for old, new in zip(before, after, strict=True))
    assert hit == (how_many(strength, len(before)) if before else 0)
    if before:
        assert abs(hit - strength * len(before)) < 1 or hit == 1


@given(text=PROSE, strength=SHARES, seed=SEEDS)
def test_typos_among_characters_are_as_many_as_asked(text, strength, seed):
    """Each slip changes the length by one at most, and touches no number."""
    letters = sum(end - start for start, end in words(text))
    damaged = typos(text, strength, seed, of="characters")
    assert abs(len(damaged) - len(text)) <= (how_many(strength, letters) if letters else 0)
    assert re.findall(r"\d", damaged) == re.findall(r"\d", text)
    assert (damaged != text) == bool(letters)


@given(text=PROSE, seed=SEEDS)
def test_fewer_typos_are_among_more(text, seed):
    """5, 10 and 15 % are one line of growing damage, not three draws."""
    plain = [text[start:end] for start, end in words(text)]
    few, more = (_words_of(text, typos(text, strength, seed)) for strength in (0.05, 0.5))
    assert all(some in (old, one) for old, some, one in zip(plain, few, more, strict=True))


def test_every_key_has_its_neighbours():
    """A slip hits the key beside, above or below."""
    assert NEIGHBOURS["g"] == "fhtyvb"
    assert set(NEIGHBOURS["p"]) == {"o", "l"}
    assert all(key in NEIGHBOURS[near] for key, beside in NEIGHBOURS.items() for near in beside)


@given(text=PROSE, strength=SHARES, seed=SEEDS)
def test_missing_words_are_as_many_as_asked(text, strength, seed):
    """Numbers and the letters of options stay, the others keep their order."""
    before, after = text.split(), missing_words(text, strength, seed).split()
    allowed = len(tokens(text))
    wanted = how_many(strength, allowed) if allowed and len(before) > 1 else 0
    assert len(before) - len(after) == min(wanted, len(before) - 1)
    left = iter(before)
    assert all(word in left for word in after)
    assert [word for word in after if re.search(r"\d|[A-Za-z]\)", word)] == [
        word for word in before if re.search(r"\d|[A-Za-z]\)", word)
    ]


@given(text=PROSE, strength=SHARES, seed=SEEDS)
def test_casing_changes_letters_and_nothing_else(text, strength, seed):
    """As many as asked, rounded; folded it is the same text."""
    damaged = casing(text, strength, seed)
    assert damaged.casefold() == text.casefold()
    able = sum(c.isalpha() and c != "ß" for start, end in words(text) for c in text[start:end])
    assert sum(a != b for a, b in zip(text, damaged, strict=True)) == (how_many(strength, able) if able else 0)


def test_casing_may_go_one_way():
    """All capitals, or all small; letters of options stay what they are."""
    assert casing("A) Paris in the Rain", 0.5, 1, to="upper") == "A) PARIS IN THE RAIN"
    assert casing("A) Paris in the Rain", 0.5, 1, to="lower") == "A) paris in the rain"


@given(text=PROSE, strength=SHARES, seed=SEEDS)
def test_whitespace_changes_spaces_and_nothing_else(text, strength, seed):
    """As many gaps as asked; numbers are not joined."""
    damaged = whitespace(text, strength, seed)
    assert "".join(damaged.split()) == "".join(text.split())
    pieces = re.split(r"\s+", text)
    changed = re.fullmatch(r"(\s*)".join(map(re.escape, pieces)), damaged)
    if changed:  # pieces may fit in several ways where gaps are lost
        assert sum(gap != " " for gap in changed.groups()) <= len(pieces)
    assert (damaged != text) == bool(gaps(text))
    assert len(re.findall(r"\d+", damaged)) == len(re.findall(r"\d+", text))


@given(
    value=JSON,
    count=st.integers(1, 4),
    seed=SEEDS,
    around=st.sampled_from(["{}", "Read this: {} Thanks.", "```\n{}\n```"]),
)
def test_malformed_json_is_none_any_more(value, count, seed, around):
    """Whatever the flaws, no parser takes it; the text around it stays."""
    held = json.dumps(value)
    before, _, after = around.partition("{}")
    damaged = malformed_json(before + held + after, count, seed)
    assert damaged.startswith(before)
    assert damaged.endswith(after)
    with pytest.raises(ValueError):
        json.loads(damaged[len(before) : len(damaged) - len(after)])


@pytest.mark.parametrize("text", ["", "no JSON here [at all]", "{}", "[]", "{broken: 1", "[" * 2000])
def test_what_holds_no_json_is_not_malformed(text):
    """The sample is left out then."""
    assert malformed_json(text, 1, 0) == text


@given(text=PROSE, count=st.integers(1, 50), seed=SEEDS, where=st.sampled_from(["either", "before", "after"]))
def test_distractors_stand_around_the_whole_text(text, count, seed, where):
    """As many different sentences as asked, as far as there are, on the side that was asked."""
    damaged = distractors(text, count, seed, where=where)
    assert text in damaged
    before, after = damaged.split(f"{text}", 1) if where != "before" else (damaged[: -len(text)], "")
    told = [one for one in sentences() if one in damaged]
    assert len(told) == min(count, len(sentences()))
    assert where != "before" or damaged.endswith(text)
    assert where != "after" or damaged.startswith(text)
    assert before or after


def test_shipped_sentences_say_nothing_that_an_answer_could_be():
    """No numbers, no orders, no questions, none twice."""
    assert len(sentences()) == len(set(sentences())) > 30
    assert not [one for one in sentences() if re.search(r"[\d?!:\"]", one) or not one.endswith(".")]
