"""What a question is made of: the words that were typed, what came by a pipe, files, pictures."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import BinaryIO

from pytest_llmbench.chat.conversation import Content
from pytest_llmbench.errors import UsageError

MOST_BYTES = 10_000_000
"""Of a text that is put before a model; no context is as long."""
_FILE_MARK = "@"


def question_of(words: str, piped: str, images: Sequence[str] = ()) -> Content:
    """What is asked.

    Args:
        words: as typed: the question, or what is to be done with what was piped.
        piped: the material; empty where there is none.
        images: files: pictures, sounds or PDFs.

    Raises:
        UsageError: there is nothing to ask, it is no text, or a file cannot be read or is none of these.
    """
    text = "\n\n".join(part for part in (_sound(words).strip(), piped.strip("\n")) if part.strip())
    if not text and not images:
        raise UsageError(
            "nothing was asked: the prompt is empty, and so is standard input",
            hint='`llmbench chat "What is a token?"`, or a text by a pipe, or neither on a terminal',
        )
    if not images:
        return text
    from pytest_llmbench.datasets.media import part_of  # noqa: PLC0415 - few questions show pictures

    parts = [part_of(Path(image).expanduser()) for image in images]
    return [*([{"type": "text", "text": text}] if text else []), *parts]


def text_or_file(given: str) -> str:
    """A text, or that of the file that `@FILE` names.

    Raises:
        UsageError: the file cannot be read or is too large, or it is no UTF-8.
    """
    if not given.startswith(_FILE_MARK):
        return _sound(given)
    path = Path(given.removeprefix(_FILE_MARK)).expanduser()
    try:
        with path.open("rb") as file:
            return read_text(file, str(path)).strip()
    except OSError as error:
        raise UsageError(f"{path} cannot be read: {error.strerror or error}") from None


def read_text(stream: BinaryIO, name: str) -> str:
    """All of a stream as text.

    Args:
        stream: at its beginning.
        name: how to call it.

    Raises:
        UsageError: it is too large, or no UTF-8.
    """
    data = stream.read(MOST_BYTES + 1)
    if len(data) > MOST_BYTES:
        raise UsageError(f"{name} holds more than {MOST_BYTES // 1_000_000} MB of text, which no model takes")
    try:
        return data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise UsageError(
            f"{name} is no UTF-8 text (byte {error.start})", hint="convert it: `iconv -t UTF-8`; pictures go by --image"
        ) from None


def _sound(typed: str) -> str:
    """What was typed, seen to be text: a terminal of another encoding sends bytes that are none."""
    try:
        typed.encode()
    except UnicodeEncodeError as error:
        raise UsageError(
            f"what was typed is no UTF-8 text (character {error.start + 1})",
            hint="set the terminal to UTF-8; a text in another encoding goes by a pipe, through `iconv -t UTF-8`",
        ) from None
    return typed
