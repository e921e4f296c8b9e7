"""Which known model a GGUF file is (the same file, the same bytes) or looks like (its name, size and header)."""

from __future__ import annotations

import contextlib
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from pytest_llmbench.models.gguf import GgufHeader
from pytest_llmbench.models.gguf_split import part_name
from pytest_llmbench.models.names import model_of, split

_MOST_CHARACTERS = 60


@dataclass(frozen=True, slots=True)
class Known:
    """A model that has a definition, or was made here."""

    name: str
    """`model:QUANT`."""
    source: str
    path: Path | None = None
    """Where its file is, if it is on this disk."""
    size_bytes: int | None = None
    sha256: str | None = None
    """As pinned, or as noted when its file was last hashed."""


@dataclass(frozen=True, slots=True)
class Facts:
    """What can be told of a file by looking at it."""

    path: Path
    size_bytes: int
    header: GgufHeader
    sha256: str | None


def same(facts: Facts, known: Iterable[Known]) -> tuple[str, str] | None:
    """The model that a file is beyond doubt, and by what; None where that cannot be told."""
    candidates = list(known)
    for one in candidates:
        if one.path is not None and _same_file(one.path, facts.path):
            return one.name, "by path"
    for one in candidates:
        if facts.sha256 is not None and one.sha256 == facts.sha256:
            return one.name, "by sha256"
    return None


def nearest(facts: Facts, known: Iterable[Known]) -> tuple[str, str] | None:
    """The model that a file looks like, and by what: the quantization agrees, a name does, and no size speaks against.

    A file that is known to hash to something else than the pin is not offered.
    """
    names = [_words(text) for text in _names(facts)]
    best: tuple[int, str, str] | None = None
    for one in known:
        differs = (one.size_bytes not in {None, facts.size_bytes}) or bool(one.sha256 and facts.sha256)
        if differs or not _is_quantized_as(facts, split(one.name)[1]):
            continue
        by = [
            *(["file name"] if facts.path.name.casefold() == one.source.rpartition("/")[2].casefold() else []),
            *(["name"] if any(_begins(words, _words(split(one.name)[0])) for words in names) else []),
        ]
        if by:
            by += ["size"] if one.size_bytes is not None else []
            best = max(best or (0, "", ""), (len(by), one.name, f"by {' and '.join(by)}"))
    return best[1:] if best else None


def suggested_name(path: Path) -> str:
    """What to call the model of a file in llmbench.yaml: its file's name without quantization and part."""
    named = part_name(path)
    return model_of(f"./{named[0]}.gguf" if named else f"./{path.name}")[:_MOST_CHARACTERS]


def _same_file(one: Path, other: Path) -> bool:
    with contextlib.suppress(OSError):
        return one.samefile(other)
    return False


def _names(facts: Facts) -> list[str]:
    """What the file calls the model, in several ways."""
    header = facts.header
    told = (header.metadata.get(f"general.{key}") for key in ("basename", "size_label"))
    short = "-".join(text for text in told if isinstance(text, str))
    return [suggested_name(facts.path), header.name, header.short_name, short]


def _is_quantized_as(facts: Facts, quant: str) -> bool:
    """By the header, or by the end of the file's name, which is finer for some (`UD-Q4_K_XL`)."""
    stem = (part_name(facts.path) or (facts.path.stem, 0, 0))[0].casefold()
    return quant.casefold() == facts.header.quantization.casefold() or stem.endswith(
        tuple(f"{mark}{quant.casefold()}" for mark in "-._")
    )


def _words(name: str) -> list[str]:
    return [word for word in re.split(r"[^a-z0-9]+", name[:200].casefold()) if word]


def _begins(words: list[str], wanted: list[str]) -> bool:
    """Whether a name is the wanted one with nothing or with more behind it (`smollm2-135m`-instruct)."""
    return bool(wanted) and words[: len(wanted)] == wanted
