"""Where texts are cut: nothing is lost, nothing is too large, and cuts are at the coarsest places there are."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pytest_llmbench.chunking import Chunk, Chunking, Count, chunks
from pytest_llmbench.chunking.counters import Characters
from pytest_llmbench.chunking.units import units, ways

WAYS = ("paragraph", "sentence", "timestamp", "tokens")


class Letters:
    """Each character is a token: sizes can be told by looking."""

    by = "its letters"
    exact = True

    def count(self, text: str) -> Count:
        return Count(len(text), exact=True, by=self.by)

    def ends(self, text: str) -> list[int]:
        return list(range(1, len(text) + 1))


class Restless(Letters):
    """A stretch by itself has three tokens more than within the whole, as tokens are merged over places of cuts."""

    def count(self, text: str) -> Count:
        return Count(len(text) + 3, exact=True, by=self.by)


def texts(found: list[Chunk]) -> list[str]:
    return [chunk.text for chunk in found]


TEXT = st.text(st.sampled_from("ab .!?。\n\t1:23[]é👩"), max_size=400) | st.text(max_size=200)


@given(TEXT, st.integers(8, 60), st.integers(0, 30), st.sampled_from(WAYS))
@settings(max_examples=400, deadline=None)
def test_chunks_hold_all_of_a_text_and_none_is_too_large(text, size, overlap, by):
    """Each is a stretch of it, in order, with its own count; between two is nothing but white space."""
    found = chunks(text, size, Chunking(by=by, overlap=min(overlap, size // 2)), Letters())
    reached = 0
    for number, chunk in enumerate(found, start=1):
        assert (chunk.number, chunk.of) == (number, len(found))
        assert chunk.text == text[chunk.start : chunk.end] == chunk.text.strip()
        assert chunk.tokens == len(chunk.text) <= size
        assert not text[reached : chunk.start].strip()
        assert chunk.end > reached
        assert chunk.overlap == max(0, reached - chunk.start) <= min(overlap, size // 2)
        reached = chunk.end
    assert not text[reached:].strip()


@given(TEXT, st.sampled_from(WAYS))
@settings(max_examples=200, deadline=None)
def test_a_tokenizer_that_counts_more_of_a_stretch_is_obeyed(text, by):
    """Chunks are counted by themselves, and cut smaller where they are too large."""
    found = chunks(text, 20, Chunking(by=by), Restless())
    assert all(chunk.tokens <= 20 for chunk in found)
    assert "".join("".join(texts(found)).split()) == "".join(text.split())


@given(TEXT, st.sampled_from(WAYS))
@settings(max_examples=200, deadline=None)
def test_the_units_of_every_way_are_the_whole_text(text, by):
    """In order, none empty."""
    for way in ways(by):
        found = units(text, 0, len(text), way) if text else []
        assert "".join(text[start:end] for start, end in found) == text
        assert all(start < end for start, end in found)


def test_a_text_is_cut_between_paragraphs():
    """As many as fit; white space between them is lost."""
    text = "First one.\n\nSecond.\n   \nThird, which is longer.\n\n\nFourth."
    assert texts(chunks(text, 25, Chunking(), Letters())) == [
        "First one.\n\nSecond.",
        "Third, which is longer.",
        "Fourth.",
    ]


def test_a_paragraph_that_is_too_long_is_cut_between_sentences_then_words_then_anywhere():
    """Each only where the coarser way does not do."""
    text = "A short one. " + "x" * 25 + " and then some words more of it.\n\nEnd."
    assert texts(chunks(text, 20, Chunking(), Letters())) == [
        "A short one.",
        "x" * 20,
        "xxxxx and then some",
        "words more of it.",
        "End.",
    ]


def test_sentences_end_with_their_signs_in_any_script():
    """Closing quotes and brackets belong to them; Chinese ones need no space behind."""
    text = 'He said "No!" Then he left (for good.) 他走了。她留下。'
    found = [text[start:end].strip() for start, end in units(text, 0, len(text), "sentence")]
    assert found == ['He said "No!"', "Then he left (for good.)", "他走了。", "她留下。"]


SUBTITLES = "".join(
    f"{number}\n00:00:{number:02},000 --> 00:00:{number:02},900\nLine number {number}.\n\n" for number in range(1, 10)
)


def test_subtitles_are_cut_between_cues_and_chunks_tell_their_times():
    """A cue's number stays with it; the times are those at which its cues begin."""
    found = chunks(SUBTITLES, 110, Chunking(by="timestamp"), Letters())
    assert [chunk.text.partition("\n")[0] for chunk in found] == ["1", "3", "5", "7", "9"]
    assert [(chunk.begins_at, chunk.ends_at) for chunk in found] == [
        ("00:00:01,000", "00:00:02,000"),
        ("00:00:03,000", "00:00:04,000"),
        ("00:00:05,000", "00:00:06,000"),
        ("00:00:07,000", "00:00:08,000"),
        ("00:00:09,000", "00:00:09,000"),
    ]


@pytest.mark.parametrize(
    "line", ["[0:15] Anna: yes", "(1:02:03) yes", "12:30 yes", "<00:01.500> yes", "00:05 --> 00:09"]
)
def test_time_stamps_are_known_in_the_forms_that_transcripts_have(line):
    """In brackets or not, with hours or without."""
    text = f"Title\n{line}\nmore of it\n{line}\n"
    assert [text[start:end] for start, end in units(text, 0, len(text), "timestamp")] == [
        "Title\n",
        f"{line}\nmore of it\n",
        f"{line}\n",
    ]


@pytest.mark.parametrize("line", ["1999: a year", "The 12:30 train", "3 4:5", "99:99 no time"])
def test_what_only_looks_like_a_time_stamp_is_none(line):
    """It has to begin a line and to be a time."""
    text = f"Title\n{line}\n"
    assert len(units(text, 0, len(text), "timestamp")) == 1


def test_an_overlap_begins_where_a_sentence_or_a_word_does():
    """And is never more than was asked for."""
    text = "One two three. Four five six. Seven eight nine. Ten eleven twelve."
    found = chunks(text, 32, Chunking(by="sentence", overlap=16), Letters())
    assert texts(found) == [
        "One two three. Four five six.",
        "Four five six. Seven eight nine.",
        "eight nine. Ten eleven twelve.",
    ]


def test_white_space_alone_has_no_chunks():
    """Nor has an empty text."""
    assert chunks("", 10, Chunking(), Letters()) == []
    assert chunks(" \n\n\t", 10, Chunking(), Characters()) == []


def test_a_large_document_is_cut_at_once():
    """A megabyte of prose, of one word, and of empty lines; each is all there."""
    prose = "A sentence of some words, and then another one. " * 20
    for text in ((prose + "\n\n") * 1000, "x" * 1_000_000, "a\n\n\n" * 250_000):
        found = chunks(text, 1000, Chunking(overlap=50), Characters())
        assert max(chunk.tokens for chunk in found) <= 1000
        assert found[-1].end == len(text.rstrip())
