"""Whether a sample fits a model, and what is done where it does not: cut with a warning, or told."""

from __future__ import annotations

from pathlib import Path

import pytest

from pytest_llmbench.chunking import Chunking, ChunkingDef, Count, Room, fit, of
from pytest_llmbench.chunking.counters import Characters
from pytest_llmbench.chunking.subject import text_of, variable_of, with_text
from pytest_llmbench.config.strict_yaml import KeyPath
from pytest_llmbench.errors import ConfigError, UsageError
from pytest_llmbench.records import Sample


class Words:
    """Each word is a token; counts how often it was asked."""

    by = "its words"
    exact = True

    def __init__(self) -> None:
        self.asked = 0

    def count(self, text: str) -> Count:
        self.asked += 1
        return Count(len(text.split()), exact=True, by=self.by)

    def ends(self, text: str) -> list[int]:
        ends, at = [], 0
        for word in text.split():
            at = text.index(word, at) + len(word)
            ends.append(at)
        return ends


def messages(sample: Sample) -> list[dict[str, str]]:
    """A prompt with a task around the text; like real ones it refuses an empty one."""
    text = sample.input if isinstance(sample.input, str) else str(sample.input[-1]["content"])
    text = text or str(sample.metadata.get("document", ""))
    assert text
    return [{"role": "system", "content": "Be brief."}, {"role": "user", "content": f"Summarise this: {text}"}]


PARAGRAPH = "word " * 49 + "end."
LONG = Sample("long", "\n\n".join([PARAGRAPH] * 10))
"""500 words."""
AROUND = 4 + 8 + 1
"""Words of the prompt, two messages, and what stands in the text's place."""


def test_what_surely_fits_is_not_even_counted():
    """A text has no more tokens than bytes: 10,000 short samples cost no tokenizer's time."""
    counter = Words()
    assert fit(Sample("a", "short"), Chunking(), messages, Room("lab/m", 8192, 500), counter).is_whole
    assert counter.asked == 0


def test_what_may_not_fit_is_counted_and_sent_whole_where_it_does():
    """Up to 80 % of the context."""
    found = fit(LONG, Chunking(), messages, Room("lab/m", 640), Words())
    assert found.is_whole
    assert (found.count, found.warning) == (Count(500 + 4 + 8, exact=False, by="its words, and 4 a message"), "")
    assert Room("lab/m", 640).tokens == 512
    assert fit(LONG, Chunking(), messages, Room("lab/m", 642), Words()).is_whole
    assert not fit(LONG, Chunking(), messages, Room("lab/m", 638), Words()).is_whole


def test_above_80_percent_of_the_context_a_sample_is_cut_and_that_is_told():
    """Into chunks that the rest of the prompt leaves room for; the warning says how many, how large, and why."""
    room = Room("lab/m", 300)
    found = fit(LONG, Chunking(), messages, room, Words())
    assert [chunk.tokens for chunk in found.chunks] == [200, 200, 100]
    assert found.room == 240 - AROUND
    assert found.warning == (
        "the sample 'long' has about 512 tokens (estimated: its words, and 4 a message), more than the 240 "
        "that it may take of the context of lab/m (300): cut into 3 chunks of at most 200 tokens by "
        "paragraph, map-reduce"
    )
    for sample, chunk in zip(found.samples(LONG), found.chunks, strict=True):
        assert sample.input == chunk.text
        assert sample.id == "long"


def test_a_long_answer_needs_room_too():
    """Of 600 tokens 80 % are 480; with 300 for the answer, 300 are left."""
    found = fit(LONG, Chunking(), messages, Room("lab/m", 600, 300), Words())
    assert found.room == 300 - AROUND
    assert max(chunk.tokens for chunk in found.chunks) == 250


def test_a_declared_size_is_obeyed_where_there_is_room_for_it():
    """And made smaller where there is not."""
    room = Room("lab/m", 300)
    assert max(chunk.tokens for chunk in fit(LONG, Chunking(size=60), messages, room, Words()).chunks) == 50
    assert max(chunk.tokens for chunk in fit(LONG, Chunking(size=5000), messages, room, Words()).chunks) == 200


def test_always_cuts_what_is_longer_than_the_size():
    """Whatever the context; shorter samples stay whole."""
    chunking = Chunking(size=100, when="always")
    found = fit(LONG, chunking, messages, Room("lab/m", 100_000), Words())
    assert len(found.chunks) == 5
    assert "more than" not in found.warning
    assert len(fit(LONG, chunking, messages, Room("lab/m", None), Words()).chunks) == 5
    assert fit(Sample("a", PARAGRAPH), chunking, messages, Room("lab/m", None), Words()).is_whole


@pytest.mark.parametrize(
    ("chunking", "context"), [(Chunking(when="never"), 100), (Chunking(), None), (Chunking(size=100), None)]
)
def test_without_a_known_context_or_when_told_never_nothing_is_cut(chunking, context):
    """The server tells then what does not fit."""
    assert fit(LONG, chunking, messages, Room("lab/m", context), Words()).is_whole


def test_to_refine_there_is_room_left_for_the_answer_so_far():
    """Beside the chunk and the instructions."""
    room = Room("lab/m", 600, 120)
    whole = fit(LONG, Chunking(), messages, room, Words())
    refined = fit(LONG, Chunking(merge="refine"), messages, room, Words())
    assert max(chunk.tokens for chunk in whole.chunks) == 450
    assert max(chunk.tokens for chunk in refined.chunks) == 200


def test_a_prompt_that_leaves_no_room_is_told():
    """With what it has and what it may have: cutting the text does not help."""
    room = Room("lab/m", 50)
    with pytest.raises(UsageError, match=r"'long' does not fit lab/m.*50 tokens a prompt may take 40.*'input'"):
        fit(LONG, Chunking(), messages, room, Words())


def test_the_longest_text_that_the_prompt_uses_is_cut():
    """Not a longer column that it does not use; a declared one first of all."""
    sample = Sample("a", "", metadata={"document": PARAGRAPH * 3, "page": "unused " * 5000, "count": 7})
    assert variable_of(sample, "", messages) == "document"
    found = fit(sample, Chunking(), messages, Room("lab/m", 120), Words())
    assert found.variable == "document"
    assert found.samples(sample)[0].metadata["page"] == sample.metadata["page"]
    with pytest.raises(UsageError, match=r"'a' has no text 'documnet' to be cut; did you mean 'document'"):
        variable_of(sample, "documnet", messages)
    assert variable_of(sample, "page", messages) == "page"


def test_a_prompt_that_is_long_by_itself_has_nothing_to_cut():
    """A text that stands in the template is the same for all samples."""
    with pytest.raises(UsageError, match="holds no text that could be cut"):
        variable_of(Sample("a", "b"), "", lambda _: [{"role": "user", "content": "fixed " * 500}])


def test_of_a_conversation_the_longest_message_is_cut():
    """Its pictures and its other messages stay."""
    picture = {"type": "image_url", "image_url": {"url": "data:image/png;base64,AAAA"}}
    said = [
        {"role": "user", "content": "Hello"},
        {"role": "user", "content": [{"type": "text", "text": "Look:"}, picture, {"type": "text", "text": PARAGRAPH}]},
    ]
    sample = Sample("a", said)
    assert text_of(sample, "input") == PARAGRAPH
    cut = with_text(sample, "input", "less")
    assert cut.input[0] == said[0]
    assert cut.input[1]["content"] == [{"type": "text", "text": "Look:"}, picture, {"type": "text", "text": "less"}]
    assert said[1]["content"][2]["text"] == PARAGRAPH


def test_chunks_of_an_estimate_fit_with_room_to_spare():
    """The estimate may be a fifth too low without a chunk that does not fit."""
    found = fit(LONG, Chunking(), messages, Room("lab/m", 300), Characters())
    assert "estimated" in found.warning
    assert all(len(chunk.text) / 4 < 240 for chunk in found.chunks)


def where(path: KeyPath, message: str) -> ConfigError:
    """As a page's loader makes it."""
    return ConfigError(f"USE-CASE.md:7: chunking.{'.'.join(map(str, path))}: {message}")


def test_front_matter_becomes_a_chunking(tmp_path):
    """Nothing said: the defaults. A tokenizer's file is one of the folder's."""
    assert of(None, tmp_path, where) == Chunking()
    tmp_path.joinpath("own").mkdir()
    tmp_path.joinpath("own", "tokenizer.json").touch()
    said = ChunkingDef(size=500, overlap=50, by="timestamp", merge="refine", tokenizer="own/tokenizer.json")
    assert of(said, tmp_path, where) == Chunking(
        size=500, overlap=50, by="timestamp", merge="refine", tokenizer=str(tmp_path / "own/tokenizer.json")
    )


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"size": 100, "overlap": 51}, "chunking.overlap: an overlap of 51 is more than half of a chunk of 100"),
        ({"when": "always"}, "chunking.when: `always` needs a `size`"),
        ({"tokenizer": "../tokenizer.json"}, "chunking.tokenizer: '../tokenizer.json' leads out of the folder"),
        ({"tokenizer": "words"}, "chunking.tokenizer: 'words' is no tokenizer"),
        ({"tokenizer": "tiktoken:p50k"}, "chunking.tokenizer: there is no vocabulary 'p50k'"),
    ],
)
def test_a_chunking_that_contradicts_itself_is_told_with_its_line(said, message):
    """Before anything is asked."""
    with pytest.raises(ConfigError) as refused:
        of(ChunkingDef(**said), Path("/nowhere"), where)
    assert message in str(refused.value)
