"""What lies in the models folder and may go: models by name, and what nobody needs any more.

Nothing outside of the folder is ever removed, and nothing that another process is just making. Lock files stay: one
that is removed while somebody waits for it could be held twice.
"""

from __future__ import annotations

import contextlib
import glob
import os
import re
import shutil
from collections.abc import Collection, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil
from filelock import FileLock, Timeout

from pytest_llmbench import clock
from pytest_llmbench.display import display_safe
from pytest_llmbench.errors import Category, ModelFileError
from pytest_llmbench.models import ollama
from pytest_llmbench.models.folder import ModelFolder, storage_errors
from pytest_llmbench.models.gguf_split import part_name
from pytest_llmbench.models.names import PATH_PREFIX
from pytest_llmbench.models.note import read_note

_WORK, _SEEN = ".work", ".seen"
_DRAFT = re.compile(r".+\.json\.(\d+)")
"""A note that the process with this number is writing."""


@dataclass(frozen=True, slots=True)
class Leftover:
    """Something that may be removed."""

    what: str
    """What it is, safe to show."""
    paths: tuple[Path, ...]
    size_bytes: int
    age_s: float
    """Since anything of it was last written."""
    lock: Path | None = None
    """To be held while it is removed."""
    unless: Path | None = None
    """What makes it needed again: a note may be waiting for the file that a process is just landing."""


def files_of(folder: ModelFolder, first: Path) -> list[Path]:
    """The files of a model in the folder that are there, the first part first; its note last."""
    named = part_name(first)
    parts = first.parent.glob(f"{glob.escape(named[0])}-?????-of-{named[2]:05d}.gguf") if named else iter([first])
    notes = [path.with_name(f"{path.name}.json") for path in [first]]
    return [path for path in (*sorted(parts), *notes) if folder.holds(path) and path.is_file()]


def unfinished(folder: ModelFolder, first: Path) -> Leftover | None:
    """What there is of a model that was not downloaded or made to the end."""
    work = folder.root / _WORK / first.stem
    return next(_work(work), None) if work.is_dir() else None


def remove_model(folder: ModelFolder, name: str, first: Path) -> int:
    """Remove a model's files, its note, and what is left of unfinished downloads of it.

    Args:
        folder: the models folder.
        name: for messages.
        first: the model's file, or its first part.

    Returns:
        The bytes that were freed.

    Raises:
        ModelFileError: another process is making it (`local.refused`), or the folder cannot be written.
    """
    with storage_errors(folder.root), _held(folder.root / _WORK / f"{first.stem}.lock", name):
        files, half = files_of(folder, first), unfinished(folder, first)
        freed = sum(path.stat().st_size for path in files) + (half.size_bytes if half else 0)
        for path in files:
            path.unlink(missing_ok=True)
        if half:
            shutil.rmtree(half.paths[0])
        with contextlib.suppress(OSError):  # not empty: other quantizations of the model
            first.parent.rmdir()
    return freed


def leftovers(folder: ModelFolder) -> list[Leftover]:
    """What processes and files that are gone have left: half downloads and notes of nothing, largest first."""
    works = (path for path in _inside(folder.root / _WORK) if path.is_dir() and not path.is_symlink())
    found = [*(left for work in works for left in _work(work)), *_dead_notes(folder), *_dead_drafts(folder)]
    return sorted((left for left in found if _is_free(left.lock)), key=lambda left: -left.size_bytes)


def unnamed(folder: ModelFolder, named: Collection[Path]) -> list[Leftover]:
    """Models in the folder that nothing here names, largest first; another project may well name them.

    Args:
        folder: the models folder.
        named: the files of all models that are known here, first parts for split ones.
    """
    firsts = {_first(path) for model in _inside(folder.root) for path in _inside(model) if path.suffix == ".gguf"}
    found: list[Leftover] = []
    for first in sorted(firsts - set(named)):
        files, note = files_of(folder, first), folder.note(first)
        what = f"model {note.name}, from {note.source}" if note else "model that nobody noted"
        found += _leftover(what, files, lock=folder.root / _WORK / f"{first.stem}.lock")
    return sorted(found, key=lambda left: -left.size_bytes)


def remove(left: Leftover) -> int:
    """Remove a leftover, unless a process has taken it up again meanwhile.

    Returns:
        The bytes that were freed.
    """
    with contextlib.suppress(Timeout), FileLock(left.lock, timeout=0) if left.lock else contextlib.nullcontext():
        if left.unless and left.unless.exists():
            return 0
        for path in left.paths:
            shutil.rmtree(path) if path.is_dir() else path.unlink(missing_ok=True)
        for parent in {path.parent for path in left.paths}:
            with contextlib.suppress(OSError):  # not empty, or gone with another part
                parent.rmdir()
        return left.size_bytes
    return 0


def disk_usage_bytes(folder: ModelFolder) -> int:
    """What all files in the models folder take."""
    return sum(found.st_size for found in _stats_below(folder.root))


def _dead_notes(folder: ModelFolder) -> Iterator[Leftover]:
    """Notes whose file is gone."""
    for path in (one for model in _inside(folder.root) for one in _inside(model)):
        file = path.with_suffix("")
        if path.name.endswith(".gguf.json") and not file.exists():
            lock = folder.root / _WORK / f"{file.stem}.lock"
            yield from _leftover(f"note on {file.name}, which is gone", [path], lock, unless=file)
    for path in _inside(folder.root / _SEEN):
        if path.suffix == ".json" and (gone := _seen_and_gone(path)):
            yield from _leftover(gone, [path])


def _seen_and_gone(path: Path) -> str:
    """What a note on a file elsewhere is about, if that is gone; empty while it is there."""
    note = read_note(path)
    if note is None:
        return "note that cannot be read"
    if note.source.startswith(ollama.PREFIX):
        with contextlib.suppress(ModelFileError):
            ollama.locate(note.source)
            return ""
    elif Path(note.source.removeprefix(PATH_PREFIX)).exists():
        return ""
    return f"note on {note.source}, which is gone"


def _dead_drafts(folder: ModelFolder) -> Iterator[Leftover]:
    """Notes that a process had not finished writing."""
    for path in (one for model in (*_inside(folder.root), folder.root / _SEEN) for one in _inside(model)):
        written_by = _DRAFT.fullmatch(path.name)
        if written_by and not psutil.pid_exists(int(written_by[1])):
            yield from _leftover("half-written note", [path])


def _work(work: Path) -> Iterator[Leftover]:
    parts = any(path.suffix == ".part" for path in _inside(work))
    what = f"unfinished {'download' if parts else 'work'} of {work.name}"
    return _leftover(what, [work], lock=_lock_of(work))


def _leftover(
    what: str, paths: Iterable[Path], lock: Path | None = None, unless: Path | None = None
) -> Iterator[Leftover]:
    """One, or none where nothing of it is there any more: other processes are at work in the folder."""
    paths = tuple(paths)
    stats = [found for path in paths for found in (_stats_below(path) or _stat(path))]
    if stats:
        age_s = clock.now().timestamp() - max(found.st_mtime for found in stats)
        size_bytes = sum(found.st_size for found in stats)
        yield Leftover(display_safe(what, keep=""), paths, size_bytes, age_s, lock, unless)


def _stats_below(folder: Path) -> list[os.stat_result]:
    """Of the files below a folder that are there while it is looked through."""
    return [found for here, _, names in os.walk(folder) for name in names for found in _stat(Path(here, name))]


def _stat(path: Path) -> list[os.stat_result]:
    """One, or none where there is nothing of that name."""
    with contextlib.suppress(FileNotFoundError):
        return [path.lstat()]
    return []


@contextlib.contextmanager
def _held(lock: Path, name: str) -> Iterator[None]:
    lock.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(lock, timeout=0):
            yield
    except Timeout as error:
        raise ModelFileError(
            f"another process is just fetching or making {name}",
            category=Category.LOCAL_REFUSED,
            hint="wait until it is done, or end it",
        ) from error


def _is_free(lock: Path | None) -> bool:
    if lock is None or not lock.exists():
        return True
    with contextlib.suppress(Timeout), FileLock(lock, timeout=0):
        return True
    return False


def _lock_of(work: Path) -> Path:
    return work.with_name(f"{work.name}.lock")


def _first(path: Path) -> Path:
    """The first part of the model that a file is a part of."""
    named = part_name(path)
    return path.with_name(f"{named[0]}-00001-of-{named[2]:05d}.gguf") if named else path


def _inside(folder: Path) -> list[Path]:
    """What is in a folder, by name; nothing where there is none. Links to folders are not followed."""
    with contextlib.suppress(FileNotFoundError):  # another process has just removed it
        if folder.is_dir() and not folder.is_symlink():
            return sorted(folder.iterdir())
    return []
