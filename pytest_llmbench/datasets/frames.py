"""Videos as pictures: frames from a folder, or taken from a file at even distances (needs PyAV and Pillow)."""

from __future__ import annotations

import io
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from pytest_llmbench.config import confined
from pytest_llmbench.datasets.media import IMAGES, KINDS, Part, part, part_of
from pytest_llmbench.errors import UsageError
from pytest_llmbench.extras import from_extra

VIDEOS = frozenset({".mp4", ".m4v", ".mov", ".mkv", ".webm", ".avi"})
MAX_FRAMES = 32
OF_A_VIDEO = 8
"""Frames taken from a file."""
MAX_VIDEO_BYTES = 512_000_000
_MAX_EDGE = 768
"""Pixels: larger frames are made smaller, as models do themselves."""
_MAX_PIXELS = 50_000_000


def of_folder(folder: Path) -> list[Part]:
    """The pictures in a folder, in the order of their names.

    Raises:
        UsageError: there is none, or more than are sent, or one is no picture.
    """
    files = sorted(file for file in folder.iterdir() if not file.name.startswith("."))
    if stranger := next((file for file in files if file.suffix.lower() not in IMAGES), None):
        raise UsageError(f"{stranger} is no picture", hint=f"a folder is a video, and holds its frames: {_endings()}")
    if not files:
        raise UsageError(f"{folder} is empty", hint=f"a folder is a video, and holds its frames: {_endings()}")
    if len(files) > MAX_FRAMES:
        raise UsageError(f"{folder} holds {len(files)} frames; {MAX_FRAMES} are the most that are sent")
    return [part_of(_held(folder, file)) for file in files]


def _held(folder: Path, file: Path) -> Path:
    try:
        return confined.file_inside(folder, file.name)
    except ValueError as error:
        raise UsageError(f"{file}: {error}", hint="frames are files of their folder, no links or pipes") from None


def of_video(path: Path) -> list[Part]:
    """Frames of a video file: `OF_A_VIDEO`, at even distances, each as JPEG.

    Raises:
        MissingExtraError: PyAV or Pillow is not installed.
        UsageError: it cannot be read, or holds no picture.
    """
    av = from_extra("av", "video")
    from_extra("PIL.Image", "video")
    try:
        if path.stat().st_size > MAX_VIDEO_BYTES:
            raise UsageError(f"{path} is larger than {MAX_VIDEO_BYTES // 1_000_000} MB")
        with av.open(str(path)) as container:
            pictures = [_jpeg(frame, path) for frame in _spread(container, path)]
    except (av.FFmpegError, OSError) as error:
        raise UsageError(f"{path} cannot be read as a video: {error}") from None
    if not pictures:
        raise UsageError(f"{path} holds no picture")
    return pictures


def _spread(container: Any, path: Path) -> Iterator[Any]:
    """Frames in the middles of as many equal stretches of time; of a video of unknown length the first ones."""
    if not container.streams.video:
        raise UsageError(f"{path} holds no picture")
    stream = container.streams.video[0]
    length = container.duration
    if not length:
        for _, frame in zip(range(OF_A_VIDEO), container.decode(stream), strict=False):
            yield frame
        return
    last = None
    for index in range(OF_A_VIDEO):
        frame = _at(container, stream, length * (2 * index + 1) // (2 * OF_A_VIDEO))
        if frame is not None and frame.pts != last:
            last = frame.pts
            yield frame


def _at(container: Any, stream: Any, at: int) -> Any:
    """The first frame at a time (in millionths of a second) or after it; the last one where there is none after."""
    container.seek(at + (container.start_time or 0))
    wanted = (at + (container.start_time or 0)) / 1_000_000
    frame = None
    for frame in container.decode(stream):
        if frame.time is None or frame.time >= wanted:
            break
    return frame


def _jpeg(frame: Any, path: Path) -> Part:
    if frame.width * frame.height > _MAX_PIXELS:
        raise UsageError(f"{path} has frames of {frame.width} × {frame.height} pixels, which is too large")
    picture = frame.to_image()
    picture.thumbnail((_MAX_EDGE, _MAX_EDGE))
    held = io.BytesIO()
    picture.save(held, "JPEG", quality=85)
    return part(held.getvalue(), _JPEG)


def _endings() -> str:
    return ", ".join(sorted(IMAGES))


_JPEG = next(kind for kind in KINDS if kind.name == "jpeg")
