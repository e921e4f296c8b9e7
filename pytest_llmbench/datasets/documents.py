"""One file, one sample: what a file says, as the text or the parts of a message."""

from __future__ import annotations

import json
from pathlib import Path

from pytest_llmbench.datasets import frames, pdf
from pytest_llmbench.datasets.media import AUDIO, IMAGES, Part, part_of, read_bounded
from pytest_llmbench.errors import UsageError

MAX_TEXT_BYTES = 16_000_000
_TEXTS = frozenset({".txt", ".md", ".json"})
FILE_KINDS = _TEXTS | {".pdf"} | IMAGES | AUDIO | frames.VIDEOS
"""The endings of files that can be a sample by themselves; a file of any other is read as text."""


def document(path: Path) -> str | list[Part]:
    """What a file says: a text, or parts of a message.

    Args:
        path: a file, or a folder with the frames of a video in the order of their names.

    Returns:
        The text of a text file or a PDF; one part for a picture or a sound, one a frame for a video.

    Raises:
        UsageError: it cannot be read, is empty, too large, or not what its ending says; with its path, and the line
            where there is one.
        MissingExtraError: what reads it is not installed.
    """
    ending = path.suffix.lower()
    if path.is_dir():
        return frames.of_folder(path)
    if ending in frames.VIDEOS:
        return frames.of_video(path)
    if ending in IMAGES or ending in AUDIO:
        return [part_of(path)]
    if ending == ".pdf":
        return pdf.text_of(path)
    return _text(path)


def _text(path: Path) -> str:
    data = read_bounded(path, MAX_TEXT_BYTES)
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = data.count(b"\n", 0, error.start) + 1
        raise UsageError(
            f"{path}:{line}: not UTF-8: {error.reason}",
            hint=f"save it as UTF-8; what is no text is one of {', '.join(sorted(FILE_KINDS - _TEXTS))}",
        ) from None
    if "\0" in text:
        line = text.count("\n", 0, text.index("\0")) + 1
        raise UsageError(f"{path}:{line}: there is a NUL character; is this a text file?")
    if not text.strip():
        raise UsageError(f"{path} holds no text")
    if path.suffix.lower() == ".json":
        _check_json(text, path)
    return text.replace("\r\n", "\n")


def _check_json(text: str, path: Path) -> None:
    try:
        json.loads(text)
    except json.JSONDecodeError as error:
        raise UsageError(f"{path}:{error.lineno}: not JSON: {error.msg}") from None
    except RecursionError:
        raise UsageError(f"{path}: the JSON is nested too deeply") from None
