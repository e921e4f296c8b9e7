"""The folder that model files are kept in: who may write, how a file gets its final name, what is known about it.

    MODEL/MODEL-QUANT.gguf         a whole, checked file, never half of one
    MODEL/MODEL-QUANT.gguf.json    its note: sha256, size, source, what it was requantized from
    .seen/HASH.json                notes on files that lie elsewhere (`path:` sources)
    .work/MODEL-QUANT/             what a process is just making; swept once its lock is free
    .work/MODEL-QUANT.lock         held by that process, and by the kernel's doing no longer than it lives

A note is trusted while size and modification time of the file are as noted, so that finding a model does not hash it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock, Timeout

from pytest_llmbench.errors import Category, ModelFileError

_FULL = frozenset({errno.ENOSPC, errno.EDQUOT, errno.EFBIG})


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

    def fits(self, file: Path) -> bool:
        """Whether the file is there and still looks as it did then."""
        if not file.exists():
            return False
        found = file.stat()
        return (found.st_size, found.st_mtime_ns) == (self.size_bytes, self.modified_ns)


class ModelFolder:
    """One models folder; several processes may use it at once.

    Args:
        root: made when something is first written to it.
    """

    def __init__(self, root: Path) -> None:
        self.root = root

    def file(self, model: str, quant: str) -> Path:
        """Where the file of a model is, or would be."""
        return self.root / model / f"{model}-{quant}.gguf"

    def holds(self, file: Path) -> bool:
        """Whether a file lies in this folder."""
        return file.is_relative_to(self.root)

    def notes(self) -> list[Note]:
        """Of every file in the folder, by name."""
        noted = [(read_note(path), path.with_suffix("")) for path in self.root.glob("*/*.gguf.json")]
        return sorted((note for note, file in noted if note and file.exists()), key=lambda note: note.name)

    def note(self, file: Path) -> Note | None:
        """What is noted about a file, in this folder or elsewhere; it need not be true any more."""
        return read_note(self._note_path(file))

    def remember(self, file: Path, note: Note) -> None:
        """Note what is known about a file.

        Raises:
            OSError: the folder may not be written.
        """
        path = self._note_path(file)
        path.parent.mkdir(parents=True, exist_ok=True)
        # Its own name for each process: two may be noting the same file.
        draft = path.with_name(f"{path.name}.{os.getpid()}")
        draft.write_text(json.dumps(dataclasses.asdict(note), indent=1) + "\n", encoding="utf-8")
        draft.replace(path)

    @contextlib.contextmanager
    def workspace(self, target: Path, on_wait: Callable[[], None]) -> Iterator[Path]:
        """The right to make `target`, with an empty folder on the same disk to make it in.

        Args:
            target: a path that `file` gave.
            on_wait: called when another process is making it, before waiting for that.

        Raises:
            ModelFileError: the folder cannot be written, or the disk is full.
        """
        work = self.root / ".work" / target.stem
        with storage_errors(self.root):
            work.parent.mkdir(parents=True, exist_ok=True)
            lock = FileLock(f"{work}.lock")
            try:
                lock.acquire(timeout=0)
            except Timeout:
                on_wait()
                lock.acquire()
            try:
                self._sweep(work)
                _emptied(work)
                work.mkdir()
                yield work
            finally:
                _emptied(work)
                lock.release()

    def land(self, draft: Path, target: Path, note: Note) -> None:
        """Give a finished file its final name. After a crash in between it has the name and is whole, or has not.

        Args:
            draft: the file, complete and synced, in the workspace.
            target: its final path.
            note: goes first: a note without its file reads as "not here", a file without its note as unknown.
        """
        target.parent.mkdir(parents=True, exist_ok=True)
        self.remember(target, note)
        draft.replace(target)
        _sync_folder(target.parent)

    def _sweep(self, ours: Path) -> None:
        """Throw away what processes left that are gone: their locks are free."""
        for left in ours.parent.iterdir():
            if left.is_dir() and left != ours:
                with contextlib.suppress(Timeout), FileLock(f"{left}.lock", timeout=0):
                    _emptied(left)

    def _note_path(self, file: Path) -> Path:
        if self.holds(file):
            return file.with_name(f"{file.name}.json")
        key = hashlib.sha256(os.fsencode(file)).hexdigest()[:32]
        return self.root / ".seen" / f"{key}.json"


def read_note(path: Path) -> Note | None:
    """None where there is no note, or none that we can read: the file is then checked anew."""
    try:
        return Note(**json.loads(path.read_text(encoding="utf-8")))
    except (OSError, ValueError, TypeError):
        return None


def hash_file(path: Path) -> str:
    """The sha256 of a file, in hexadecimal."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


@contextlib.contextmanager
def storage_errors(folder: Path) -> Iterator[None]:
    """Turn the disk's refusals into `ModelFileError`."""
    try:
        yield
    except OSError as error:
        full = error.errno in _FULL
        raise ModelFileError(
            f"cannot write to the models folder {folder}: {error.strerror or error}",
            category=Category.LOCAL_DISK_FULL if full else Category.MODEL_MISSING,
            hint=("free some space, or set" if full else "set") + " LLMBENCH_MODELS_DIR to a folder you can write to",
        ) from error


@contextlib.contextmanager
def reading_errors(file: Path) -> Iterator[None]:
    """Turn the system's refusals to read a model file into `ModelFileError`."""
    try:
        yield
    except OSError as error:
        raise ModelFileError(
            f"cannot read the model file {file}: {error.strerror or error}",
            category=Category.MODEL_MISSING,
            hint="check its permissions",
        ) from error


def _emptied(folder: Path) -> None:
    if folder.exists():
        shutil.rmtree(folder)


def _sync_folder(folder: Path) -> None:
    """Make a rename survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
