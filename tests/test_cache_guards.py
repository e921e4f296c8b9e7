"""What keeps prompts apart that look alike, and what may be said in two ways."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterator
from importlib.resources import files
from typing import Any

import pytest

from pytest_llmbench.cache.guards import LISTED, WORDS, differences, tokens
from pytest_llmbench.cache.semantic import same_to_read

PAIRS: list[dict[str, Any]] = [
    json.loads(line)
    for line in files("pytest_llmbench").joinpath("data", "near_opposites.jsonl").read_text("utf-8").splitlines()
]
PROMPTS = [pair for pair in PAIRS if pair["about"] == "prompt"]
REPLIES = [pair for pair in PAIRS if pair["about"] == "reply"]


def test_the_shipped_pairs_are_of_many_kinds_and_each_stands_there_once() -> None:
    """Several hundred, as many held out as the guards were written with."""
    parts = Counter((pair["set"], pair["same"]) for pair in PROMPTS)
    assert parts["held-out", False] == parts["written-with", False] > 200
    assert parts["held-out", True] == parts["written-with", True] > 60
    assert len({pair["kind"] for pair in PROMPTS}) > 15
    assert len({(pair["one"], pair["other"]) for pair in PAIRS}) == len(PAIRS)
    assert all(pair["one"] != pair["other"] for pair in PAIRS)


@pytest.mark.parametrize("part", ["written-with", "held-out"])
def test_no_shipped_pair_that_wants_different_answers_gets_past_the_guards(part: str) -> None:
    """At whatever threshold: the documented false-hit rate."""
    opposites = [pair for pair in PROMPTS if pair["set"] == part and not pair["same"]]
    assert [pair for pair in opposites if not differences(pair["one"], pair["other"])] == []


@pytest.mark.parametrize("part", ["written-with", "held-out"])
def test_some_true_rewordings_get_past_them(part: str) -> None:
    """Few, and the documentation says how few: more than a fifth, less than a half."""
    same = [pair for pair in PROMPTS if pair["set"] == part and pair["same"]]
    passed = sum(not differences(pair["one"], pair["other"]) for pair in same)
    assert 0.2 < passed / len(same) < 0.5


def test_what_parts_two_prompts_is_the_same_from_either_side() -> None:
    """And nothing parts a prompt from itself."""
    for pair in PROMPTS:
        one, other = pair["one"], pair["other"]
        assert bool(differences(one, other)) == bool(differences(other, one))
        assert differences(one, one) == ()
        assert set(differences(one, other)) <= {*LISTED, WORDS}


@pytest.mark.parametrize(
    ("one", "other", "kind"),
    [
        ("Which bus is free?", "Which bus isn't free?", "negation"),
        ("Add 12 to it.", "Add 21 to it.", "number"),
        ("Add twelve to it.", "Add twenty to it.", "number"),
        ("Is -5 a root?", "Is 5 a root?", "number"),
        ("Is 5 km far?", "Is 5 miles far?", "unit"),
        ("Open in May?", "Open in June?", "date"),
        ("Where is Rome?", "Where is Roma?", "name"),
        ("Tell us about turkey.", "Tell us about Turkey.", "name"),
        ("When was it built?", "Why was it built?", "question"),
        ("May I leave?", "Must I leave?", "modality"),
        ("Delete all files.", "Delete some files.", "quantity"),
        ("Stop if it rains.", "Stop unless it rains.", "condition"),
        ("Turn it on.", "Turn it off.", "direction"),
        ("Which lake is larger?", "Which lake is smaller?", "opposite"),
        ("Do cats chase mice?", "Do mice chase cats?", "order"),
        ("Explain `x == y`.", "Explain `x != y`.", "code"),
        ("Explain user_id here.", "Explain user_ids here.", "code"),
        ('Translate "Let\'s eat, John".', 'Translate "Let\'s eat John".', "quote"),
        ("Wash the wool.", "Wash the silk.", WORDS),
        ("It is late.", "It is late?", WORDS),
        ("Correct this: we eat, John", "Correct this: we eat John", WORDS),
        ("Fix it:\n  x = y", "Fix it:\nx = y", WORDS),
    ],
)
def test_each_kind_of_difference_is_told(one: str, other: str, kind: str) -> None:
    """By its name, for whoever wonders why there was no hit."""
    assert kind in differences(one, other)


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("How do I tie a tie?", "How can I tie a tie"),
        ("How do I tie a tie?", "Could you tell me how to tie a tie?"),
        ("Explain fog.", "Hello! Please explain fog. Thanks!"),
        ("Explain fog.", "explain fog"),
        ("I don't see it.", "I do not see it."),
        ("Which colour is it?", "Which color is it?"),
        ("Organise it.", "Organize it."),
        ("What’s fog?", "What is fog?"),
        ("Explain  fog.", "Explain fog."),
        ("Nenne drei Flüsse.", "Bitte nenne drei Flüsse."),
    ],
)
def test_what_asks_the_same_in_other_words_is_let_through(one: str, other: str) -> None:
    """Courtesy, contractions, spelling, spaces, the first letter and the last mark."""
    assert differences(one, other) == ()


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("How do you say thank you", "How do you say please"),
        ("Write about saying thanks.", "Write about saying please."),
        ("Hello! What does that mean?", "Hey! What does that mean?"),
        ("Reply with: yes, no, thanks", "Reply with: yes, no, please"),
        ("Would you recommend it?", "Recommend it."),
    ],
)
def test_courtesy_that_is_asked_about_is_none(one: str, other: str) -> None:
    """Words of thanks and greeting may be the matter itself."""
    assert differences(one, other)


def test_a_word_less_or_moved_or_another_digit_is_a_difference() -> None:
    """Of every shipped prompt, word by word; only what asks politely, and the `do` of `how do I`, may be left out."""
    let_through = [
        (text, changed)
        for text in {pair[side] for pair in PROMPTS for side in ("one", "other")}
        for changed in changed_texts(text)
        if changed != text and not differences(text, changed)
    ]
    left_out = {
        word.strip(",.!?").lower()
        for text, less in let_through
        for word in Counter(text.split()) - Counter(less.split())
    }
    assert left_out <= {"please", "bitte", "hi", "hello", "thanks", "do", "can", ""}
    moved = {text for text, changed in let_through if sorted(text.split()) == sorted(changed.split())}
    assert all(text.endswith(" ?") for text in moved)


def changed_texts(text: str) -> Iterator[str]:
    """The text with a word less, with two neighbours in each other's place, with another digit."""
    words = text.split()
    for place in range(len(words)):
        yield " ".join(words[:place] + words[place + 1 :])
        yield " ".join([*words[:place], *reversed(words[place : place + 2]), *words[place + 2 :]])
    for place, letter in enumerate(text):
        if letter.isdigit():
            yield f"{text[:place]}{(int(letter) + 1) % 10}{text[place + 1 :]}"


@pytest.mark.parametrize("text", ["", " ", "?", "\ud800", "\x00" * 50, "e" + "\u0301" * 5000, "'" * 5000, "中文" * 900])
def test_strange_prompts_are_compared_like_any_other(text: str) -> None:
    """Nothing of what people paste breaks it; another text is another."""
    assert differences(text, text) == ()
    assert tokens(text + " a b") != tokens(text + " b a")


def test_one_verdict_is_for_replies_that_read_the_same() -> None:
    """None of the shipped pairs that a rubric may tell apart: case, marks, layout and words all count."""
    apart = [pair for pair in REPLIES if not pair["same"]]
    assert [pair for pair in apart if same_to_read(pair["one"]) == same_to_read(pair["other"])] == []
    same = [pair for pair in REPLIES if pair["same"]]
    assert sum(same_to_read(pair["one"]) == same_to_read(pair["other"]) for pair in same) >= 0.8 * len(same)
