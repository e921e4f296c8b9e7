"""The folder that model files are kept in: who may write, how a file gets its final name, what is known about it.

    MODEL/MODEL-QUANT.gguf         a whole, checked file, never half of one
    MODEL/MODEL-QUANT.gguf.json    its note: sha256, size, source, what it was requantized from
    .seen/HASH.json                notes on files that lie elsewhere (`path:` sources)
    MODEL/MODEL-QUANT-00001-of-00003.gguf   the first part of a split model, the others beside it; its note is for all
    .work/MODEL-QUANT/             what a process is just making; swept once its lock is free, but for downloads
                                   (`*.part`) that can be taken up again: those of other models go after a week
    .work/MODEL-QUANT.lock         held by that process, and by the kernel's doing no longer than it lives

A note is trusted while size and modification time of the file are as noted, so that finding a model does not hash it.
"""

from __future__ import annotations

import contextlib
import dataclasses
import glob
import hashlib
import json
import os
import shutil
from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path

from filelock import FileLock, Timeout

from pytest_llmbench import clock
from pytest_llmbench.errors import Category, ModelFileError
from pytest_llmbench.models import draft
from pytest_llmbench.models.gguf_split import part_name
from pytest_llmbench.models.note import Note, read_note

_KEPT_S = 7 * 24 * 3600
"""How long the unfinished download of a model that nobody pulls any more stays."""

_ASK_EVERY_S = 0.5
"""How often a process that waits for another one looks whether it is still to wait."""


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
        new = path.with_name(f"{path.name}.{os.getpid()}")
        new.write_text(json.dumps(dataclasses.asdict(note), indent=1) + "\n", encoding="utf-8")
        new.replace(path)

    @contextlib.contextmanager
    def workspace(self, target: Path, on_wait: Callable[[], None]) -> Iterator[Path]:
        """The right to make `target`, with a folder on the same disk to make it in.

        Args:
            target: a path that `file` gave.
            on_wait: called now and then while another process is making it; what it raises ends the waiting.

        Returns:
            The folder, empty but for downloads of `target` that can be taken up again.

        Raises:
            ModelFileError: the folder cannot be written, or the disk is full.
        """
        work = self.root / ".work" / target.stem
        with storage_errors(self.root):
            work.parent.mkdir(parents=True, exist_ok=True)
            lock = FileLock(f"{work}.lock")
            take(lock, on_wait)
            try:
                self._sweep(work)
                _tidied(work)
                work.mkdir(exist_ok=True)
                yield work
            finally:
                _tidied(work)
                lock.release()

    def land(self, drafts: Sequence[Path], target: Path, note: Note) -> None:
        """Give finished files their final names. After a crash in between each has it and is whole, or has it not.

        Args:
            drafts: the files, complete and synced, in the workspace; the first one becomes `target`, other parts lie
                beside it under the names they have.
            target: the final path.
            note: goes first: a note without its file reads as "not here", a file without its note as unknown.
        """
        target.parent.mkdir(parents=True, exist_ok=True)
        self.remember(target, note)
        # The first part last: it is by this one that the model is found.
        for part in drafts[1:]:
            part.replace(target.with_name(part.name))
        drafts[0].replace(target)
        _sync_folder(target.parent)
        self._drop_others(target, {target.name, *(part.name for part in drafts[1:])})

    def _drop_others(self, target: Path, landed: Collection[str]) -> None:
        """Remove the parts of a model that was split otherwise before."""
        named = part_name(target)
        stem = glob.escape(named[0] if named else target.stem)
        for pattern in (f"{stem}.gguf", f"{stem}-?????-of-?????.gguf"):
            for old in target.parent.glob(pattern):
                if old.name not in landed:
                    old.unlink()
                    self._note_path(old).unlink(missing_ok=True)

    def _sweep(self, ours: Path) -> None:
        """Throw away what processes left that are gone: their locks are free."""
        for left in ours.parent.iterdir():
            if left.is_dir() and left != ours:
                with contextlib.suppress(Timeout), FileLock(f"{left}.lock", timeout=0):
                    _tidied(left)
                    if left.exists() and _age_s(left) > _KEPT_S:
                        shutil.rmtree(left)

    def _note_path(self, file: Path) -> Path:
        if self.holds(file):
            return file.with_name(f"{file.name}.json")
        key = hashlib.sha256(os.fsencode(file)).hexdigest()[:32]
        return self.root / ".seen" / f"{key}.json"


@contextlib.contextmanager
def storage_errors(folder: Path) -> Iterator[None]:
    """Turn the disk's refusals into `ModelFileError`."""
    try:
        yield
    except OSError as error:
        full = error.errno in draft.FULL
        raise ModelFileError(
            f"cannot write to the models folder {folder}: {error.strerror or error}",
            category=Category.LOCAL_DISK_FULL if full else Category.MODEL_MISSING,
            hint=("free some space, or set" if full else "set") + " LLMBENCH_MODELS_DIR to a folder you can write to",
        ) from error


def take(lock: FileLock, on_wait: Callable[[], None]) -> None:
    """Acquire a lock; while another process holds it `on_wait` is called now and then, and may raise to end that."""
    timeout_s = 0.0
    while True:
        try:
            lock.acquire(timeout=timeout_s)
        except Timeout:
            on_wait()
            timeout_s = _ASK_EVERY_S
        else:
            return


def _tidied(work: Path) -> None:
    """Leave nothing but downloads that can be taken up again, and no empty folder."""
    if not work.exists():
        return
    kept = set(_resumable(work))
    for path in set(work.iterdir()) - kept:
        shutil.rmtree(path) if path.is_dir() else path.unlink()
    if not kept:
        work.rmdir()


def _resumable(work: Path) -> Iterator[Path]:
    """The drafts that `draft.py` knows how to go on with, and what is noted of them."""
    for note in work.glob(f"*{draft.SUFFIX}.json"):
        part = note.with_suffix("")
        whole = part.with_suffix("")
        if whole.exists():
            # Complete and already called so when the process was killed.
            whole.replace(part)
        if part.exists():
            yield from (part, note)


def _age_s(work: Path) -> float:
    """Since something was last written to a file in the folder."""
    return clock.now().timestamp() - max(path.stat().st_mtime for path in work.iterdir())


def _sync_folder(folder: Path) -> None:
    """Make a rename survive a power cut."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
