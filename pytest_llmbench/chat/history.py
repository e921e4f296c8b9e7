"""What was typed before, for the arrow keys: one file of the user's own, readable by nobody else."""

from __future__ import annotations

import contextlib
import os
from pathlib import Path

import platformdirs
from prompt_toolkit.history import FileHistory, History, InMemoryHistory

from pytest_llmbench.redaction import redact_exact

_MOST_BYTES = 1_000_000
_ENTRY = b"\n# "
"""What every entry of prompt_toolkit's file begins with."""


class OwnHistory(FileHistory):
    """A history file that holds no key which this process knows."""

    def store_string(self, string: str) -> None:
        with contextlib.suppress(OSError):  # a full disk: what was typed is asked all the same
            super().store_string(redact_exact(string))


def history(*, is_kept: bool, path: Path | None = None) -> History:
    """The history of chats, or one of this chat alone.

    Args:
        is_kept: whether anything may be written.
        path: the file; None: that of this user.
    """
    file = path or Path(platformdirs.user_state_dir("pytest-llmbench")) / "chat-history"
    try:
        return OwnHistory(str(_private(file))) if is_kept else InMemoryHistory()
    except OSError:  # a home that cannot be written: the chat itself needs none
        return InMemoryHistory()


def _private(file: Path) -> Path:
    """The file, there and for its owner alone, and not without end."""
    file.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
    descriptor = os.open(file, os.O_RDWR | os.O_CREAT | os.O_NOFOLLOW, 0o600)
    with os.fdopen(descriptor, "r+b") as opened:
        os.fchmod(opened.fileno(), 0o600)
        if os.fstat(opened.fileno()).st_size > _MOST_BYTES:
            opened.seek(-_MOST_BYTES // 2, os.SEEK_END)
            kept = opened.read()
            opened.seek(0)
            opened.write(kept[max(0, kept.find(_ENTRY)) :])
            opened.truncate()
    return file
