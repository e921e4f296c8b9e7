"""Pictures, sounds and PDFs as parts of a message, in OpenAI's form, which clients of other formats translate.

What a file is, its first bytes tell; its ending only has to agree.
"""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from pytest_llmbench.config import confined
from pytest_llmbench.errors import UsageError
from pytest_llmbench.questions.rows import Place

Part = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of file that models take."""

    name: str
    """As in the media type's second half, and as `input_audio` wants it."""
    need: str
    """The field of `Capabilities` that a model needs for it; `` for PDFs, of which nobody tells."""
    endings: tuple[str, ...]
    magic: tuple[tuple[int, bytes], ...]
    """What stands where in its first bytes."""
    max_bytes: int


_MB = 1_000_000
KINDS = (
    Kind("png", "images", (".png",), ((0, b"\x89PNG\r\n\x1a\n"),), 20 * _MB),
    Kind("jpeg", "images", (".jpg", ".jpeg"), ((0, b"\xff\xd8\xff"),), 20 * _MB),
    Kind("gif", "images", (".gif",), ((0, b"GIF8"),), 20 * _MB),
    Kind("webp", "images", (".webp",), ((0, b"RIFF"), (8, b"WEBP")), 20 * _MB),
    Kind("wav", "audio", (".wav",), ((0, b"RIFF"), (8, b"WAVE")), 25 * _MB),
    Kind("flac", "audio", (".flac",), ((0, b"fLaC"),), 25 * _MB),
    Kind("mp3", "audio", (".mp3",), ((0, b"ID3"),), 25 * _MB),
    Kind("pdf", "", (".pdf",), ((0, b"%PDF-"),), 32 * _MB),
)
IMAGES = frozenset(ending for kind in KINDS if kind.need == "images" for ending in kind.endings)
AUDIO = frozenset(ending for kind in KINDS if kind.need == "audio" for ending in kind.endings)
_BY_ENDING = {ending: kind for kind in KINDS for ending in kind.endings}
_HEAD_BYTES = 16


def part_of(file: Path) -> Part:
    """A file as a part of a message.

    Raises:
        UsageError: it cannot be read, is too large, or is not what its ending says.
    """
    kind = _BY_ENDING.get(file.suffix.lower())
    if kind is None:
        raise UsageError(f"{file} is no picture, sound or PDF", hint=f"it has to end in {', '.join(_BY_ENDING)}")
    data = read_bounded(file, kind.max_bytes)
    if (found := kind_of(data)) is not kind:
        is_ = f"a {found.name} file" if found else "nothing that is known here"
        raise UsageError(f"{file} ends in {file.suffix} and is {is_} by its first bytes", hint="convert or rename it")
    return part(data, kind, file.name)


def part(data: bytes, kind: Kind, name: str = "") -> Part:
    """The bytes of a file as a part of a message; `name`: how a PDF is called."""
    encoded = base64.b64encode(data).decode()
    if kind.need == "audio":
        return {"type": "input_audio", "input_audio": {"data": encoded, "format": kind.name}}
    if kind.need == "images":
        return {"type": "image_url", "image_url": {"url": f"data:image/{kind.name};base64,{encoded}"}}
    shown = name or "document.pdf"
    return {"type": "file", "file": {"filename": shown, "file_data": f"data:application/pdf;base64,{encoded}"}}


def kind_of(data: bytes) -> Kind | None:
    """What these are the first bytes of."""
    for kind in KINDS:
        if all(data[at : at + len(mark)] == mark for at, mark in kind.magic):
            return kind
    is_frame = len(data) > 1 and data[0] == 0xFF and data[1] & 0xE6 == 0xE2
    return _BY_ENDING[".mp3"] if is_frame else None  # one without a tag begins with a frame of MPEG layer III


def cell_parts(value: Any, column: str, place: Place) -> list[Part]:
    """The parts that a cell of a media column means.

    Args:
        value: a path from the dataset's folder, the bytes of a file, `{"bytes": ..., "path": ...}` as in Hugging Face
            datasets, a list of these, or nothing.
        column: its name.
        place: of the row.

    Raises:
        UsageError: it is none of these, or the file is none.
    """
    if value is None or value == "":
        return []
    if isinstance(value, list):
        return [part for each in value for part in cell_parts(each, column, place)]
    if isinstance(value, Mapping):
        value = value.get("bytes") or value.get("path")
    if isinstance(value, bytes):
        return [_held(value, column, place)]
    if isinstance(value, str):
        return [_named(value, column, place)]
    raise place.error(f"{column!r} is to name a file, and is {type(value).__name__}")


def read_bounded(file: Path, most: int) -> bytes:
    """A file's bytes.

    Raises:
        UsageError: it cannot be read, is empty, or larger than `most`.
    """
    try:
        with file.open("rb") as stream:
            data = stream.read(most + 1)
    except OSError as error:
        raise UsageError(f"{file} cannot be read: {error.strerror or error}") from None
    if not data:
        raise UsageError(f"{file} is empty")
    if len(data) > most:
        raise UsageError(f"{file} is larger than {most // _MB} MB, which is the most that is sent of its kind")
    return data


def _held(data: bytes, column: str, place: Place) -> Part:
    kind = kind_of(data[:_HEAD_BYTES])
    if kind is None:
        raise place.error(f"{column!r} holds bytes that are no picture, sound or PDF")
    if len(data) > kind.max_bytes:
        raise place.error(f"{column!r} holds more than {kind.max_bytes // _MB} MB")
    return part(data, kind)


def _named(path: str, column: str, place: Place) -> Part:
    try:
        return part_of(confined.file_inside(place.file.parent, path))
    except (ValueError, UsageError) as error:
        raise place.error(f"{column!r}: {error}") from None
