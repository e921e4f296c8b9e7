"""The section `chunking` of a use case's front matter."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Literal

from pydantic import Field

from pytest_llmbench.chunking.counting import check_tokenizer
from pytest_llmbench.chunking.shapes import LEAST, Chunking
from pytest_llmbench.config import confined
from pytest_llmbench.config.strict import Strict
from pytest_llmbench.config.strict_yaml import KeyPath
from pytest_llmbench.errors import ConfigError, UsageError

Where = Callable[[KeyPath, str], ConfigError]
"""Makes the error at a key of the section."""


class ChunkingDef(Strict):
    """How inputs that are too long for a model are cut, and how the answers become one."""

    size: Annotated[int, Field(ge=LEAST)] | None = Field(
        default=None, description="the most tokens of a chunk; what the context leaves where not given"
    )
    overlap: Annotated[int, Field(ge=0)] = Field(
        default=0, description="how many tokens at most a chunk repeats of the one before"
    )
    by: Literal["paragraph", "sentence", "timestamp", "tokens"] = Field(
        default="paragraph", description="where a text may be cut; units that are too long are cut finer"
    )
    merge: Literal["map-reduce", "refine", "concat"] = Field(
        default="map-reduce",
        description="how the answers to the chunks become one: all together by one more question, each with the answer "
        "so far, or one after another without asking",
    )
    when: Literal["auto", "always", "never"] = Field(
        default="auto", description="auto: prompts above 80 % of the context; always: prompts longer than `size`; never"
    )
    variable: str = Field(
        default="", description="which variable of the prompt is cut; the longest text where not given"
    )
    instructions: str = Field(
        default="", description="what the model is told when answers are merged, in our words' place"
    )
    tokenizer: str = Field(
        default="",
        description="who counts tokens: a `tokenizer.json` of this folder, `tiktoken:o200k_base`, or `characters`; the "
        "model's own where not given",
    )


def of(said: ChunkingDef | None, folder: Path, where: Where) -> Chunking:
    """The chunking that a front matter declares; the defaults where it declares none.

    Args:
        said: the section.
        folder: of the use case; a `tokenizer` that is a file stands in it.
        where: makes the error at a key.

    Raises:
        ConfigError: two keys contradict each other, or a file is none of the folder's.
    """
    if said is None:
        return Chunking()
    if said.size is not None and said.overlap * 2 > said.size:
        raise where(("overlap",), f"an overlap of {said.overlap} is more than half of a chunk of {said.size} tokens")
    if said.when == "always" and said.size is None:
        raise where(("when",), "`always` needs a `size`: the most tokens of a chunk")
    try:
        tokenizer = _tokenizer(said.tokenizer, folder)
    except (ValueError, UsageError) as error:
        raise where(("tokenizer",), getattr(error, "message", str(error))) from None
    return Chunking(**{**said.model_dump(), "tokenizer": tokenizer})


def _tokenizer(said: str, folder: Path) -> str:
    """With the path of a file, once it is sure that it is none outside of the folder."""
    if said:
        check_tokenizer(said)
    return str(confined.file_inside(folder, said)) if said.endswith(".json") else said
