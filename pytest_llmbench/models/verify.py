"""Whether model files are still what they were: every byte is read and held against what is pinned or noted."""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from pytest_llmbench.display import display_safe
from pytest_llmbench.errors import Category, ModelFileError
from pytest_llmbench.models import chat_template
from pytest_llmbench.models import checks as model_checks
from pytest_llmbench.models.gguf import read_header
from pytest_llmbench.models.model_store import ModelEntry, ModelStore
from pytest_llmbench.models.note import Note
from pytest_llmbench.models.sources import kind_of


class State(StrEnum):
    """What came of a check."""

    OK = "ok"
    UNPINNED = "unpinned"
    CHANGED = "changed"
    DAMAGED = "damaged"
    MISSING = "missing"

    @property
    def is_bad(self) -> bool:
        return self in {State.CHANGED, State.DAMAGED, State.MISSING}


@dataclass(frozen=True, slots=True)
class Verdict:
    """What came of one model. All texts are safe to show."""

    name: str
    state: State
    path: str = ""
    size_bytes: int = 0
    sha256: str = ""
    """Of the bytes that are there now; empty where they were not read."""
    against: str = ""
    """What it was held against: the file that pins it, or what was noted when it was last checked."""
    detail: str = ""
    """What is wrong, and what to do about it."""
    suspicions: tuple[str, ...] = ()
    """What its chat template reaches for that no chat needs."""


def to_verify(store: ModelStore) -> list[str]:
    """The models whose files are here, or were, or should be: all but those that were never downloaded."""
    return [entry.name for entry in store.entries() if entry.present or _is_expected(store, entry)]


def verify(store: ModelStore, name: str, tell: Callable[[int], None]) -> Verdict:
    """Read a model's files and say whether they are what they should be.

    Args:
        store: the models.
        name: as `check_name` takes it.
        tell: called with the bytes read so far.

    Raises:
        UnknownModelError: nobody knows the name.
        ConfigError: llmbench.lock makes no sense.
    """
    entry = store.entry(name)
    file, source = Path(entry.path), entry.source
    try:
        if not entry.present:
            raise _not_here(entry)
        with model_checks.reading_errors(file):
            fresh = model_checks.examined(entry.name, file, source, tell=tell)
        state, against, detail = _judged(store, entry, file, fresh)
    except ModelFileError as error:
        missing = error.category is Category.MODEL_MISSING
        return Verdict(entry.name, State.MISSING if missing else State.DAMAGED, entry.path, detail=_told(error))
    return Verdict(
        entry.name,
        state,
        path=entry.path,
        size_bytes=fresh.size_bytes,
        sha256=fresh.sha256,
        against=against,
        detail=display_safe(detail, keep=""),
        suspicions=chat_template.suspicions(read_header(file)),
    )


def _judged(store: ModelStore, entry: ModelEntry, file: Path, fresh: Note) -> tuple[State, str, str]:
    """State, what it was held against, and what is wrong."""
    mend = f"; {model_checks.how_to_mend(entry.name, entry.source)}"
    if entry.pinned_by:
        same = fresh.sha256 == entry.sha256
        wrong = f"it has sha256 {fresh.sha256}, {entry.pinned_by} pins {entry.sha256}{mend}"
        return (State.OK if same else State.CHANGED), entry.pinned_by, "" if same else wrong
    if check := kind_of(entry.source).check:
        try:
            check(file, fresh.sha256)
        except ModelFileError as error:
            return State.CHANGED, "its name", _told(error)
        return State.OK, "its name", ""
    return _against_note(store, entry, file, fresh, mend)


def _against_note(store: ModelStore, entry: ModelEntry, file: Path, fresh: Note, mend: str) -> tuple[State, str, str]:
    """The same, where nothing pins the model."""
    note, in_place = store.folder.note(file), _is_in_place(entry)
    if note is not None and note.hashes == fresh.hashes:
        return State.UNPINNED, "its note", ""
    if note is not None and (note.fits(file) or not in_place):
        wrong = f"it has sha256 {fresh.sha256}, when last checked it had {note.sha256}{mend}"
        return State.CHANGED, "its note", wrong
    if in_place:
        # New to us, or changed by its owner, who may; from now on it is known.
        with contextlib.suppress(OSError):
            store.folder.remember(file, fresh)
    return State.UNPINNED, "", ""


def _is_expected(store: ModelStore, entry: ModelEntry) -> bool:
    """Whether a model that is not here should be: it was once, or its definition says where it lies."""
    return _is_in_place(entry) or (bool(entry.path) and store.folder.note(Path(entry.path)) is not None)


def _is_in_place(entry: ModelEntry) -> bool:
    made_here = entry.source.startswith(model_checks.QUANTIZED_PREFIX)
    return not made_here and kind_of(entry.source).locate is not None


def _not_here(entry: ModelEntry) -> ModelFileError:
    """Why there is no file: a place that does not know it can tell more than that."""
    locate = kind_of(entry.source).locate
    if locate and not entry.path:
        try:
            locate(entry.source)
        except ModelFileError as error:
            return error
    return model_checks.missing(entry.name, Path(entry.path), entry.source)


def _told(error: ModelFileError) -> str:
    return f"{error.message}; {error.hint}" if error.hint else error.message
