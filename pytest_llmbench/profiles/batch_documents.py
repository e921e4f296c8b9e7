"""The documents of a batch: a user's folder or texts, or the thirty that are shipped."""

from __future__ import annotations

import functools
import random
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import resources
from pathlib import Path

from pytest_llmbench.errors import UsageError

KINDS = (".txt", ".md")
_ORDER_SEED = 20


@dataclass(frozen=True, slots=True)
class Document:
    """One text to be worked on."""

    name: str
    text: str


def documents(source: str | Sequence[str]) -> tuple[Document, ...]:
    """The documents of a source.

    Args:
        source: empty for the shipped ones, the path of a folder with `.txt` and `.md` files, or the texts themselves.

    Raises:
        UsageError: no such folder, nothing in it, or a text that is empty or cannot be read.
    """
    if not source:
        return shipped()
    if isinstance(source, str):
        return _of_folder(Path(source))
    found = tuple(Document(f"document {number}", text) for number, text in enumerate(source, 1))
    for document in found:
        if not isinstance(document.text, str) or not document.text.strip():
            raise UsageError(f"{document.name} of the batch is empty or no text", hint="give a list of texts")
    return found


@functools.cache
def shipped() -> tuple[Document, ...]:
    """Thirty short documents, written for this project: letters, minutes, reports, dialogues, notes."""
    text = resources.files("pytest_llmbench").joinpath("data", "documents.txt").read_text(encoding="utf-8")
    parts = (part.partition("\n") for part in text.split("=== ")[1:])
    return tuple(Document(name, body.strip()) for name, _, body in parts)


def shuffled(found: Sequence[Document], count: int) -> tuple[Document, ...]:
    """`count` of them in an order that is the same every time, and again from the beginning where they are fewer.

    In the order of their names they might grow longer and longer, and a machine that slows down could not be told from
    that.
    """
    order = random.Random(_ORDER_SEED).sample(range(len(found)), len(found))
    return tuple(found[order[number % len(found)]] for number in range(count))


def _of_folder(folder: Path) -> tuple[Document, ...]:
    try:
        paths = sorted(path for path in folder.iterdir() if path.suffix.lower() in KINDS and path.is_file())
    except OSError as error:
        raise UsageError(
            f"cannot read the folder of documents {folder.absolute()}: {error.strerror}",
            hint=f"source is a folder with {' or '.join(KINDS)} files, or a list of texts",
        ) from error
    if not paths:
        raise UsageError(f"no {' or '.join(KINDS)} file in {folder.absolute()}", hint="folders inside it are not read")
    return tuple(Document(path.name, _text(path)) for path in paths)


def _text(path: Path) -> str:
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise UsageError(f"cannot read the document {path.absolute()}: {error}", hint="it must be UTF-8") from error
    if not text.strip():
        raise UsageError(f"the document {path.absolute()} is empty")
    return text
