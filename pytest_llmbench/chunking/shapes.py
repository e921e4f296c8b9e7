"""What large inputs are told in: counts of tokens, chunks, and how a use case wants its inputs cut and merged."""

from __future__ import annotations

from dataclasses import dataclass

from pytest_llmbench.records import Record

LEAST = 32
"""Tokens: a chunk smaller than this says nothing."""


@dataclass(frozen=True, slots=True)
class Count(Record):
    """How many tokens something has."""

    tokens: int
    exact: bool
    """True: the model's own tokenizer counted all of it; False: an estimate, and shown as one."""
    by: str
    """Who counted, in words: `/tokenize of the server`, `tiktoken o200k_base`, `4 characters a token`."""

    def __str__(self) -> str:
        return f"{self.tokens:,} tokens" if self.exact else f"about {self.tokens:,} tokens (estimated: {self.by})"


@dataclass(frozen=True, slots=True)
class Chunk(Record):
    """A stretch of a text: `text` is `source[start:end]`."""

    number: int
    """From 1."""
    of: int
    """How many there are."""
    text: str
    start: int
    end: int
    tokens: int
    """Its own, with what it repeats of the chunk before."""
    overlap: int = 0
    """How many characters at its beginning stand in the chunk before, too."""
    begins_at: str = ""
    """The first time stamp in it, as it stands there; empty where there is none."""
    ends_at: str = ""
    """The last one."""


@dataclass(frozen=True, slots=True)
class Chunking(Record):
    """How inputs that are too long for a model are cut, and how the answers to the chunks become one."""

    size: int | None = None
    """The most tokens of a chunk; None: what the model's context leaves for it."""
    overlap: int = 0
    """How many tokens at most a chunk repeats of the one before."""
    by: str = "paragraph"
    """Where a text may be cut: `paragraph`, `sentence`, `timestamp`, `tokens`; a unit too long for a chunk is cut
    finer."""
    merge: str = "map-reduce"
    """How the answers become one: `map-reduce`, `refine`, `concat`; see `merging`."""
    when: str = "auto"
    """`auto`: prompts above 80 % of the context; `always`: all that are longer than `size`; `never`."""
    variable: str = ""
    """Which variable of the prompt is cut; empty: the longest text of the sample."""
    instructions: str = ""
    """What the model is told when answers are merged; empty: what stands in `merging`."""
    tokenizer: str = ""
    """Who counts: a `tokenizer.json`, `tiktoken:NAME`, or `characters`; empty: what is known of the model."""
