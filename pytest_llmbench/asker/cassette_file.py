"""The file of a cassette: JSON lines, a header and then one line a reply.

Which reply belongs to a question is decided by the model's name and by what is asked: messages and everything that
decides the answer, not how it is transported.

Format history:
    1  first.
"""

from __future__ import annotations

import dataclasses
import hashlib
import json
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from pytest_llmbench.asker.question import Question
from pytest_llmbench.errors import UsageError
from pytest_llmbench.records import Cost, MalformedRecordError, Reply

FORMAT = "pytest-llmbench cassette"
FORMAT_VERSION = 1

DECIDING = ("max_tokens", "temperature", "seed", "extra")
"""Fields of a request that decide the answer, beside its messages."""

BROKEN_OFF = b" #broken off\n"
"""Ends a line whose writer was killed within it; no JSON ends so."""

Place = tuple[str, int]
"""Whose reply it is: (test key, how many times this test had asked the same before)."""


@dataclasses.dataclass(frozen=True, slots=True)
class Entry:
    """One recorded reply."""

    key: str
    prompt: str
    place: Place
    model: str
    deciding: Mapping[str, Any]
    reply: Reply


def read(path: Path) -> Iterator[Entry]:
    """The entries of a cassette, in the order in which they were written.

    Raises:
        UsageError: it cannot be read, or is no cassette; file and line are named.
    """
    try:
        with path.open("rb") as file:
            check_header(path, file.readline())
            for number, line in enumerate(file, start=2):
                if _is_entry(line):
                    yield _entry(line, f"{path}:{number}")
    except OSError as error:
        raise UsageError(f"the cassette {path} cannot be read: {error.strerror or error}") from error


def _is_entry(line: bytes) -> bool:
    """Not one whose writer was killed within it, nor the header of a second process that began at the same moment."""
    whole = line.endswith(b"\n") and not line.endswith(BROKEN_OFF)
    return whole and bool(line.strip()) and not line.startswith(b'{"format":')


def key_of(question: Question) -> str:
    """What two questions have in common that get the same replies."""
    return _digest([question.target.name, prompt_of(question), deciding_of(question)])


def prompt_of(question: Question) -> str:
    """A fingerprint of the messages."""
    return _digest([dict(message) for message in question.request.messages])


def deciding_of(question: Question) -> dict[str, Any]:
    """Beside the messages, what decides the answer."""
    return {name: getattr(question.request, name) for name in DECIDING}


def place_of(question: Question) -> Place:
    """Whose reply it is."""
    return question.test_key, question.ordinal


def _digest(value: Any) -> str:
    return hashlib.sha256(json.dumps(value, sort_keys=True, separators=(",", ":"), default=dict).encode()).hexdigest()


def _entry(line: bytes, where: str) -> Entry:
    try:
        told = json.loads(line)
        reply = told["reply"]
        cost = Cost(reply.get("cost_usd", ""), "replayed")
        made = Reply.from_dict({**reply, "model": told["model"], "cost": cost.as_dict()})
        deciding = {name: told["request"].get(name) for name in DECIDING}
        return Entry(told["key"], told["prompt"], (told["test"], int(told["ordinal"])), told["model"], deciding, made)
    except (ValueError, KeyError, TypeError, AttributeError, MalformedRecordError) as error:
        raise UsageError(
            f"{where}: this line of the cassette is broken ({type(error).__name__}: {error})",
            hint="take the line out, or the file from version control; --record writes its replies anew",
        ) from error


def check_header(path: Path, line: bytes) -> None:
    """Refuse what does not begin as a cassette does.

    Raises:
        UsageError: another kind of file, or of a newer format.
    """
    try:
        header = json.loads(line)
        version = header["format_version"] if header["format"] == FORMAT else None
    except (ValueError, KeyError, TypeError):
        version = None
    if not isinstance(version, int):
        raise UsageError(f"{path} is no cassette: its first line is not the header of one")
    if version > FORMAT_VERSION:
        raise UsageError(
            f"the cassette {path} has format {version}; this version of pytest-llmbench reads up to {FORMAT_VERSION}",
            hint="upgrade pytest-llmbench, or record it again with this version",
        )
