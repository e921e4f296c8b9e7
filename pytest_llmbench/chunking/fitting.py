"""Whether a sample fits a model's context, and into which chunks it is cut where it does not.

A prompt may take 80 % of the context, and leaves room for the longest answer: what is above is cut, with a warning.
What surely is below, by its bytes, is not even counted.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pytest_llmbench.chunking.counters import Counter
from pytest_llmbench.chunking.counting import count_messages, most_tokens
from pytest_llmbench.chunking.cutting import chunks
from pytest_llmbench.chunking.shapes import LEAST, Chunk, Chunking, Count
from pytest_llmbench.chunking.subject import BLANK, Messages, text_of, variable_of, with_text
from pytest_llmbench.errors import UsageError
from pytest_llmbench.records import Sample

SHARE = 0.8
"""How much of the context a prompt may take before it is cut."""
_INSTRUCTIONS = 100
"""Tokens of what a model is told when it refines an answer."""


@dataclass(frozen=True, slots=True)
class Room:
    """What a model's context leaves for a prompt."""

    model: str
    context_tokens: int | None
    """None: nobody told."""
    answer_tokens: int = 0
    """The longest answer, `max_tokens`; 0: not said."""

    @property
    def tokens(self) -> int | None:
        """The most that a prompt may have; None: not known."""
        if self.context_tokens is None:
            return None
        return max(0, min(int(SHARE * self.context_tokens), self.context_tokens - self.answer_tokens))


@dataclass(frozen=True, slots=True)
class Fit:
    """How a sample is asked."""

    chunks: tuple[Chunk, ...] = ()
    """None: whole."""
    variable: str = ""
    """What is cut."""
    room: int | None = None
    """The most tokens of what is put in its place, a chunk or answers that are merged; None: not known."""
    count: Count | None = None
    """Of the whole prompt; None: it surely fits, and was not counted."""
    warning: str = ""

    @property
    def is_whole(self) -> bool:
        """Whether it is asked at once."""
        return not self.chunks

    def samples(self, sample: Sample) -> list[Sample]:
        """The sample once a chunk, each with that chunk in place of the whole text."""
        return [with_text(sample, self.variable, chunk.text) for chunk in self.chunks]


WHOLE = Fit()


def fit(
    sample: Sample, chunking: Chunking, messages: Messages, room: Room, counter: Counter | Callable[[], Counter]
) -> Fit:
    """How a sample is asked of a model.

    Args:
        sample: any.
        chunking: what the use case declares.
        messages: what a sample is asked as, of this model.
        room: what the model's context leaves for a prompt.
        counter: who counts the model's tokens, or what finds that out: called where there is something to be counted.

    Raises:
        UsageError: the prompt is too long even without the text that could be cut; or there is none.
    """
    limits = [room.tokens, chunking.size if chunking.when == "always" else None]
    limit = min((each for each in limits if each is not None), default=None)
    if chunking.when == "never" or limit is None:
        return WHOLE
    asked = messages(sample)
    if most_tokens(asked) <= limit:
        return WHOLE
    counter = counter() if callable(counter) else counter
    count = count_messages(asked, counter)
    if count.tokens <= limit:
        return Fit(count=count)
    variable = variable_of(sample, chunking.variable, messages)
    left = _left(sample, variable, messages, room, counter)
    found = tuple(chunks(text_of(sample, variable), _size(chunking, left, room), chunking, counter))
    if len(found) < 2:
        return Fit(count=count)
    return Fit(found, variable, left, count, _warning(sample, count, found, chunking, room))


def _left(sample: Sample, variable: str, messages: Messages, room: Room, counter: Counter) -> int | None:
    """What the rest of the prompt leaves for the text; None: not known."""
    if room.tokens is None:
        return None
    around = count_messages(messages(with_text(sample, variable, BLANK)), counter)
    left = room.tokens - around.tokens
    if left < LEAST:
        raise UsageError(
            f"the sample {sample.id!r} does not fit {room.model}: of its context of {room.context_tokens:,} tokens "
            f"a prompt may take {room.tokens:,}, and without {variable!r} this one has {around} already",
            hint="shorten the prompt or its examples, lower max_tokens, or choose a model with a larger context",
        )
    return left


def _size(chunking: Chunking, left: int | None, room: Room) -> int:
    """The most tokens of a chunk; to refine, the answer so far has to stand beside it."""
    if left is None:
        return chunking.size or LEAST
    if chunking.merge == "refine":
        left = max(LEAST, left - min(room.answer_tokens or left // 4, left // 2) - _INSTRUCTIONS)
    return min(chunking.size or left, left)


def _warning(sample: Sample, count: Count, found: tuple[Chunk, ...], chunking: Chunking, room: Room) -> str:
    cut = f"cut into {len(found)} chunks of at most {max(chunk.tokens for chunk in found):,} tokens by {chunking.by}"
    if room.tokens is None or count.tokens <= room.tokens:
        return f"the sample {sample.id!r} has {count}: {cut}, {chunking.merge}"
    limit = f"{room.tokens:,} that it may take of the context of {room.model} ({room.context_tokens:,})"
    return f"the sample {sample.id!r} has {count}, more than the {limit}: {cut}, {chunking.merge}"
