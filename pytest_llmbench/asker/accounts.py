"""Sessions that use one account at the same time share its limits: each counts the others by their leases.

A lease is an empty file in a folder of the user's, one a session and model, whose time of change is set anew every few
seconds. One that was not for a while belongs to a session that is gone. Only times of one file system are compared.
"""

from __future__ import annotations

import hashlib
import os
import secrets
from collections.abc import Sequence
from pathlib import Path

RENEW_S = 3.0
"""How often a session shows that it is there."""

EXPIRY_S = 15.0
"""A lease that was not renewed for so long has ended."""


class Lease:
    """This session's share of one model of one account.

    Args:
        folder: where all sessions of the user leave theirs.
        key: what is shared: provider, address, account, model.
    """

    def __init__(self, folder: Path, key: Sequence[str]) -> None:
        digest = hashlib.sha256("\n".join(key).encode("utf-8", "surrogatepass")).hexdigest()
        self._folder = folder / digest[:32]
        self._file = self._folder / f"{os.getpid()}-{secrets.token_hex(4)}"

    def renew(self) -> int:
        """Show that this session is there.

        Returns:
            How many sessions use the account now, this one included; 1 where the folder cannot be used: a session
            without a state folder works all the same.
        """
        try:
            self._folder.mkdir(parents=True, exist_ok=True, mode=0o700)
            self._file.touch(mode=0o600)
            oldest = self._file.stat().st_mtime - EXPIRY_S
            return sum(self._lives(entry, oldest) for entry in os.scandir(self._folder))
        except OSError:
            return 1

    def end(self) -> None:
        """Leave the account to the others."""
        try:
            self._file.unlink(missing_ok=True)
            self._folder.rmdir()
        except OSError:  # others are still there, or the folder cannot be used
            return

    def _lives(self, entry: os.DirEntry[str], oldest: float) -> bool:
        try:
            if entry.stat().st_mtime >= oldest:
                return True
            Path(entry.path).unlink()
        except OSError:  # it has ended meanwhile
            pass
        return False
