"""The names of a split GGUF's parts, before any of them is here."""

from __future__ import annotations

from pathlib import Path

from pytest_llmbench.display import display_safe
from pytest_llmbench.errors import ConfigError
from pytest_llmbench.models.gguf_split import MAX_PARTS, part_name


def names_of_parts(name: str, source: str) -> list[str]:
    """The names of all files of a model whose first one is named `name`.

    Args:
        name: `m.gguf`, or `m-00001-of-00003.gguf`.
        source: as messages name it.

    Raises:
        ConfigError: `name` is another part than the first.
    """
    told = part_name(Path(name))
    if told is None:
        return [name]
    stem, number, count = told
    if number != 1 or not 1 <= count <= MAX_PARTS:
        raise ConfigError(
            f"{display_safe(source, keep='')} names part {number} of {count}",
            hint=f"name the first part, the others are found by it: {stem}-00001-of-{count:05d}.gguf",
        )
    suffix = name[-len(".gguf") :]
    return [f"{stem}-{part:05d}-of-{count:05d}{suffix}" for part in range(1, count + 1)]


def local_name(stem: str, number: int, count: int) -> str:
    """The name by which an engine finds a part (from 1); with one part, that of an ordinary file."""
    return f"{stem}.gguf" if count == 1 else f"{stem}-{number:05d}-of-{count:05d}.gguf"
