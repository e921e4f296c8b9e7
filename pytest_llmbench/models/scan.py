"""Which GGUF files lie below a folder, read by their headers alone, and which known models they are."""

from __future__ import annotations

import contextlib
import os
import stat
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from pytest_llmbench.display import display_safe
from pytest_llmbench.errors import ModelFileError, UsageError
from pytest_llmbench.models import likeness
from pytest_llmbench.models.gguf import GgufHeader, read_header
from pytest_llmbench.models.gguf_split import part_name, read_model
from pytest_llmbench.models.likeness import Facts, Known

MAX_DEPTH = 10
MAX_ENTRIES = 500_000
"""Files and folders that are looked at by name; a home folder has as many."""


class What(StrEnum):
    """What a file that was found is."""

    KNOWN = "known"
    LIKELY = "likely"
    UNKNOWN = "unknown"
    NO_MODEL = "no model"
    DAMAGED = "damaged"


@dataclass(frozen=True, slots=True)
class Found:
    """A model below the folder: one file, or the parts of a split one. All texts but the path are safe to show."""

    path: str
    """Of the file, or of the first part, as it is: definitions are made of it."""
    size_bytes: int
    """Of all parts that are there."""
    what: What
    parts: int = 1
    """How many of them are there."""
    match: str = ""
    """The model it is or looks like."""
    reason: str = ""
    """Why: by what it was matched, what is wrong with it, or what it is if no model."""
    name: str = ""
    """What to call it, from its file's name."""
    quantization: str = ""
    architecture: str = ""
    parameter_count: int | None = None
    sha256: str | None = None
    """As noted when the file was last hashed, or hashed now."""
    has_chat_template: bool | None = None


@dataclass(frozen=True, slots=True)
class Scan:
    """What was found below a folder."""

    folder: str
    found: tuple[Found, ...]
    not_looked_at: tuple[str, ...] = ()
    """Folders that could not be read, and why the search ended early where it did."""


def scan(folder: Path, known: Iterable[Known], sha256_of: Callable[[Path], str | None]) -> Scan:
    """Find the GGUF files below a folder; of each no more than the header is read.

    Hidden folders are left out, links to folders are not followed, a file that has several names is told once.

    Args:
        folder: where to look.
        known: what files are compared with.
        sha256_of: the hash of a whole file, where it is known or wanted; else None.

    Raises:
        UsageError: there is no such folder.
    """
    if not folder.is_dir():
        raise UsageError(
            f"{display_safe(str(folder), keep='')} is no folder", hint="name a folder to look for .gguf in"
        )
    skipped: list[str] = []
    candidates = list(known)
    groups: dict[tuple[object, ...], list[Path]] = {}
    for file in _once(_ggufs(folder.absolute(), skipped)):
        groups.setdefault(_group(file), []).append(file)
    found = (_found(sorted(files), candidates, sha256_of) for files in groups.values())
    return Scan(str(folder), tuple(sorted(found, key=lambda one: one.path)), tuple(skipped))


def _ggufs(folder: Path, skipped: list[str]) -> Iterator[Path]:
    """Every file that is called one, breadth first, so that what a user meant is found before a limit is reached."""
    waiting, seen = [(folder, 1)], 0
    while waiting:
        here, depth = waiting.pop(0)
        for entry in _entries(here, skipped):
            seen += 1
            if seen > MAX_ENTRIES:
                skipped.append(f"stopped after {MAX_ENTRIES:,} files and folders; name a folder further down")
                return
            if entry.is_dir(follow_symlinks=False):
                if depth < MAX_DEPTH:
                    waiting.append((Path(entry.path), depth + 1))
                else:
                    skipped.append(f"{_safe(entry.path)}: more than {MAX_DEPTH} folders deep")
            elif entry.name.casefold().endswith(".gguf"):
                yield Path(entry.path)


def _entries(folder: Path, skipped: list[str]) -> list[os.DirEntry[str]]:
    """What is in a folder and not hidden, by name."""
    try:
        with os.scandir(folder) as entries:
            shown = [entry for entry in entries if not entry.name.startswith(".")]
    except OSError as error:
        skipped.append(f"{_safe(folder)}: {error.strerror or error}")
        return []
    return sorted(shown, key=lambda entry: entry.name)


def _once(files: Iterable[Path]) -> Iterator[Path]:
    """Files under the first of their names; what is no file (a pipe, a folder called so) is told as such later."""
    seen: set[tuple[int, int]] = set()
    for file in files:
        with contextlib.suppress(OSError):
            status = file.stat()
            if (key := (status.st_dev, status.st_ino)) in seen:
                continue
            seen.add(key)
        yield file


def _group(file: Path) -> tuple[object, ...]:
    """The same for the parts of one model."""
    named = part_name(file)
    return (file.parent, named[0], named[2]) if named else (file,)


def _found(files: list[Path], known: list[Known], sha256_of: Callable[[Path], str | None]) -> Found:
    first, sizes = files[0], sum(map(_size, files))
    try:
        header = read_model(first) if _group(first) != (first,) else read_header(first)
        sha256 = sha256_of(first) if len(files) == 1 else None
    except ModelFileError as error:
        return Found(str(first), sizes, What.DAMAGED, len(files), reason=error.message)
    except OSError as error:
        reason = f"cannot read {_safe(first)}: {error.strerror or error}"
        return Found(str(first), sizes, What.DAMAGED, len(files), reason=reason)
    facts = Facts(first, sizes, header, sha256)
    what, match, reason = _judged(facts, known)
    return Found(
        path=str(first),
        size_bytes=sizes,
        what=what,
        parts=len(files),
        match=match,
        reason=reason,
        name=likeness.suggested_name(first),
        quantization=header.quantization,
        architecture=_safe(header.architecture)[:40],
        parameter_count=header.parameter_count,
        sha256=sha256,
        has_chat_template=header.has_chat_template,
    )


def _judged(facts: Facts, known: list[Known]) -> tuple[What, str, str]:
    if kind := _no_model(facts.header):
        return What.NO_MODEL, "", kind
    if same := likeness.same(facts, known):
        return What.KNOWN, *same
    if near := likeness.nearest(facts, known):
        return What.LIKELY, *near
    return What.UNKNOWN, "", ""


def _no_model(header: GgufHeader) -> str:
    """What a GGUF is that cannot be asked anything; empty for a model."""
    kind = header.metadata.get("general.type")
    if isinstance(kind, str) and kind not in {"", "model"}:
        return _safe(kind)[:40]
    if header.architecture == "clip":
        return "mmproj"
    return "" if header.tensors else "a vocabulary without weights"


def _size(file: Path) -> int:
    with contextlib.suppress(OSError):
        status = file.stat()
        return status.st_size if stat.S_ISREG(status.st_mode) else 0
    return 0


def _safe(path: Path | str) -> str:
    return display_safe(str(path), keep="")
