"""A file that is being downloaded: its bytes so far, their hash, and what is needed to go on with it later.

    NAME.gguf.part        the bytes, only ever appended to
    NAME.gguf.part.json   which file at which address they belong to (ETag or Last-Modified, size)

What has arrived is kept when the network fails, at Ctrl-C and after kill -9. It is thrown away when it is not what was
wanted (another sha256, not a GGUF) and when the disk is full: the room is needed more elsewhere.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import hashlib
import json
import os
import shutil
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import psutil

from pytest_llmbench.models.transfer import check_room

SUFFIX = ".part"
FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})
_CHUNK_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Origin:
    """What the bytes of a draft are the beginning of."""

    url: str
    """As asked for, before any redirect: those lead to addresses that expire."""
    validator: str = ""
    """For If-Range: a strong ETag, or a Last-Modified date."""
    size_bytes: int | None = None


class Draft:
    """The download of one file; one process at a time.

    Args:
        target: the file to be. In the folder of `ModelFolder.workspace`.
    """

    def __init__(self, target: Path) -> None:
        self.path = target.with_name(target.name + SUFFIX)
        self.size_bytes = 0
        self.origin: Origin | None = None
        self._note = self.path.with_name(self.path.name + ".json")
        self._digest = hashlib.sha256()

    @property
    def sha256(self) -> str:
        """Of what has arrived."""
        return self._digest.hexdigest()

    def resume(self, url: str, tell: Callable[[int], None], *, is_checked: bool) -> None:
        """Take up what an earlier process left of the same address, and hash it; throw away anything else.

        Args:
            url: what will be asked for.
            tell: called with the bytes hashed so far.
            is_checked: whether the hash of the whole is known beforehand. If it is not, nothing is taken up that was
                written before the machine was last started: a power cut may have left zeros in it.
        """
        origin = _read(self._note)
        if origin is None or origin.url != url or not self.path.is_file():
            self.discard()
            return
        if not is_checked and self.path.stat().st_mtime < psutil.boot_time():
            self.discard()
            return
        self.origin = origin
        with self.path.open("rb") as file:
            while chunk := file.read(_CHUNK_BYTES):
                self._count(chunk)
                tell(self.size_bytes)

    def begin(self, origin: Origin) -> None:
        """Start from the first byte; what had arrived belongs to something else."""
        self.discard()
        draft = self._note.with_name(f"{self._note.name}.new")
        draft.write_text(json.dumps(dataclasses.asdict(origin)), encoding="utf-8")
        draft.replace(self._note)
        self.path.touch()
        self.origin = origin

    def check_room(self, total_bytes: int | None) -> None:
        """Refuse what will not fit; what has arrived stays.

        Raises:
            ModelFileError: the rest needs more than is free (`local.disk_full`).
        """
        if total_bytes is not None:
            check_room(shutil.disk_usage(self.path.parent).free, total_bytes - self.size_bytes)

    def append(self, chunk: bytes) -> None:
        """Write the next bytes.

        Raises:
            OSError: they cannot be written; where the disk is full, the draft is gone.
        """
        try:
            with self.path.open("ab") as file:
                file.write(chunk)
        except OSError as error:
            if error.errno in FULL:
                self.discard()
            raise
        self._count(chunk)

    def finish(self) -> None:
        """Put the bytes on the disk and the file under its name in the working folder."""
        with self.path.open("rb") as file:
            os.fsync(file.fileno())
        self.path.replace(self.path.with_suffix(""))

    def discard(self) -> None:
        """Throw away what has arrived."""
        for path in (self.path, self._note):
            with contextlib.suppress(FileNotFoundError):
                path.unlink()
        self.origin, self.size_bytes, self._digest = None, 0, hashlib.sha256()

    def _count(self, chunk: bytes) -> None:
        self._digest.update(chunk)
        self.size_bytes += len(chunk)


def _read(path: Path) -> Origin | None:
    try:
        return Origin(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None
