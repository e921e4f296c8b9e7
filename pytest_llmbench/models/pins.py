"""What a project's models have to be: as llmbench.yaml says, else as llmbench.lock does."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from pytest_llmbench.config import FILE_NAME as YAML_NAME
from pytest_llmbench.config import LOCK_NAME, QuantDef, is_built_in
from pytest_llmbench.models.lockfile import LockedFile, LockedModel, Lockfile
from pytest_llmbench.models.note import Note
from pytest_llmbench.models.sources import kind_of
from pytest_llmbench.models.transfer import CATALOGUE, Pin


class Pins:
    """The pins of one project.

    Args:
        defined: full name of a model → its definition.
        lock: llmbench.lock; None: nothing but the definitions pins anything.
    """

    def __init__(self, defined: Mapping[str, QuantDef], lock: Path | None) -> None:
        self._defined = defined
        self._lock = Lockfile(lock) if lock else None

    def of(self, name: str, *, update: bool = False) -> Pin | None:
        """What pins a model; with `update`, llmbench.lock does not count.

        Raises:
            ConfigError: llmbench.lock makes no sense.
        """
        definition = self._defined.get(name)
        if definition is None:
            return None
        if definition.hashes:
            return Pin(CATALOGUE if is_built_in(name, definition) else YAML_NAME, definition.hashes)
        if self._lock is None or update or not kind_of(definition.source).fetch:
            return None
        locked = self._lock.entry(name)
        if locked is None or locked.source != definition.source:
            return None
        return Pin(LOCK_NAME, locked.hashes, locked.revision)

    def can_move(self, name: str) -> bool:
        """Whether an update may pin another file: what llmbench.yaml pins is changed there."""
        return not self._defined[name].hashes

    def write(self, name: str, note: Note) -> None:
        """Pin a downloaded model in llmbench.lock as it is noted, unless llmbench.yaml pins it.

        Raises:
            ConfigError: llmbench.lock makes no sense.
            ModelFileError: it cannot be written.
        """
        if self._lock is None or not self.can_move(name):
            return
        files = tuple(
            LockedFile(sha256=sha256, size_bytes=size)
            for sha256, size in zip(note.hashes, note.sizes_bytes, strict=True)
        )
        self._lock.record(name, LockedModel(source=note.source, revision=note.revision, files=files))
