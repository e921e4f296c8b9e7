"""What `llmbench models list` tells of a model: nothing is hashed for it, of a file that is here the header is read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from pytest_llmbench.models import checks as model_checks
from pytest_llmbench.models.note import Note, combined
from pytest_llmbench.models.transfer import Pin


@dataclass(frozen=True, slots=True)
class ModelEntry:
    """One line of `llmbench models list`."""

    name: str
    source: str
    present: bool
    path: str
    size_bytes: int | None = None
    sha256: str | None = None
    """As pinned, or as noted when the file was last checked; None: not checked yet."""
    requantized_from: str | None = None
    has_chat_template: bool | None = None
    """Without one it is a base model, which continues texts and was not taught to answer. None: not here or damaged."""
    revision: str | None = None
    """The commit of the file that is here, where its source has commits."""
    pinned_by: str | None = None
    """The file that says what it has to hash to."""

    @property
    def label(self) -> str:
        """The name with its provenance, as `ModelFile.label`."""
        return f"{self.name} (requantized from {self.requantized_from})" if self.requantized_from else self.name


def entry_of(name: str, source: str, file: Path, note: Note | None, pin: Pin | None) -> ModelEntry:
    """The line of a model.

    Args:
        name: its full name.
        source: where its file comes from; empty for one made here.
        file: where its file is, or would be.
        note: what was noted when the file was last checked.
        pin: what the file has to be.
    """
    present = file.exists()
    noted = note if present else None
    return ModelEntry(
        name=name,
        source=source or (noted.source if noted else ""),
        present=present,
        path=str(file),
        size_bytes=model_checks.size_bytes(file, noted) if present else None,
        sha256=combined(pin.hashes) if pin else noted.sha256 if noted else None,
        requantized_from=noted.requantized_from if noted else None,
        has_chat_template=model_checks.has_chat_template(file) if present else None,
        revision=(noted.revision or None) if noted else None,
        pinned_by=pin.said_by if pin else None,
    )
