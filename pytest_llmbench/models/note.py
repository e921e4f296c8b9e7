"""What is known about a model's files, as it is noted beside them."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class PartNote:
    """One file of a split model."""

    name: str
    sha256: str
    size_bytes: int
    modified_ns: int


@dataclass(frozen=True, slots=True)
class Note:
    """What was known about a model file when it was last checked."""

    name: str
    sha256: str
    size_bytes: int
    modified_ns: int
    source: str
    requantized_from: str | None = None
    made_by: str = "pytest-llmbench"
    revision: str = ""
    """The commit it was fetched at, where its source has commits."""
    parts: tuple[PartNote, ...] = ()
    """Of a split model; `sha256` is then that of the parts' hashes, `size_bytes` their sum."""

    @property
    def hashes(self) -> tuple[str, ...]:
        """Of each part."""
        return tuple(part.sha256 for part in self.parts) or (self.sha256,)

    @property
    def sizes_bytes(self) -> tuple[int, ...]:
        """Of each part."""
        return tuple(part.size_bytes for part in self.parts) or (self.size_bytes,)

    def fits(self, file: Path) -> bool:
        """Whether the file, or each part of the model, is there and still looks as it did then."""
        if self.parts:
            return all(_looks_like(file.with_name(part.name), part) for part in self.parts)
        return _looks_like(file, self)


def read_note(path: Path) -> Note | None:
    """None where there is no note, or none that we can read: the file is then checked anew."""
    try:
        told = json.loads(path.read_text(encoding="utf-8"))
        parts = tuple(PartNote(**part) for part in told.pop("parts", ()))
        return Note(**told, parts=parts)
    except (OSError, ValueError, TypeError, AttributeError):
        return None


def combined(hashes: Sequence[str]) -> str:
    """One hash for a model: the only one, or of a split model the sha256 of its parts' hashes, a line each."""
    return hashes[0] if len(hashes) == 1 else hashlib.sha256("\n".join(hashes).encode()).hexdigest()


def hash_file(path: Path, tell: Callable[[int], None] = lambda _done: None) -> str:
    """The sha256 of a file, in hexadecimal.

    Args:
        path: the file.
        tell: called with the bytes hashed so far.
    """
    digest, done = hashlib.sha256(), 0
    with path.open("rb") as file:
        while chunk := file.read(_CHUNK_BYTES):
            digest.update(chunk)
            done += len(chunk)
            tell(done)
    return digest.hexdigest()


def _looks_like(file: Path, noted: Note | PartNote) -> bool:
    if not file.exists():
        return False
    found = file.stat()
    return (found.st_size, found.st_mtime_ns) == (noted.size_bytes, noted.modified_ns)
