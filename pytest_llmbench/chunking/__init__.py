"""Large inputs: how many tokens they have, where they are cut, and how the answers to the pieces become one."""

from pytest_llmbench.chunking.counting import count_messages, count_tokens, counter_for
from pytest_llmbench.chunking.cutting import chunks
from pytest_llmbench.chunking.fitting import Fit, Room, fit
from pytest_llmbench.chunking.merging import Merged, calls_after_first, merged
from pytest_llmbench.chunking.schema import ChunkingDef, of
from pytest_llmbench.chunking.shapes import Chunk, Chunking, Count

__all__ = [
    "Chunk",
    "Chunking",
    "ChunkingDef",
    "Count",
    "Fit",
    "Merged",
    "Room",
    "calls_after_first",
    "chunks",
    "count_messages",
    "count_tokens",
    "counter_for",
    "fit",
    "merged",
    "of",
]
