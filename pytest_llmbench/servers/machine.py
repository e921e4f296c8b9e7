"""The machine lock: who measures has the machine alone, everybody else shares it.

Two file locks in a folder that all users of the machine see: whoever wants the machine first takes the *gate*, then
the *machine* (shared or exclusive), then leaves the gate. One who waits for exclusive use holds the gate, so that
nobody new comes in while those inside come out. The kernel frees both with the process that holds them.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import secrets
import stat
import sys
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

from pytest_llmbench import clock
from pytest_llmbench.display import display_safe
from pytest_llmbench.errors import Category, InfraError

_POLL_S = 0.02
_QUIET_S = 1.0
"""A shorter wait is not worth a word."""
_ONE_FOR_ALL = 0o666
_FOLDER_FOR_ALL = 0o1777
PLACES = (Path("/tmp"), Path("/var/tmp"))  # noqa: S108 - the one place that all users of a machine share
"""Where the lock may be: the first that exists. Not TMPDIR: users and sessions that differ in it share one machine."""


class MachineLock:
    """This process's hold on the machine. Not counted: one `release` lets go.

    Args:
        folder: where the locks are; by default one for the machine.
    """

    def __init__(self, folder: Path | None = None) -> None:
        self.folder = folder or next((p for p in PLACES if p.is_dir()), PLACES[0]) / "llmbench-machine"
        self.held: str | None = None
        """`exclusive`, `shared` or None."""
        self._descriptor: int | None = None
        self._note: Path | None = None

    def acquire(self, *, exclusive: bool, timeout_s: float, on_wait: Callable[[str], None] | None = None) -> None:
        """Get the machine; whoever holds it in the other way lets go of it first.

        Args:
            exclusive: alone, or with others who share it.
            timeout_s: how long to wait.
            on_wait: told once, when the wait is longer than a second, who has it.

        Raises:
            InfraError: it was not free in time, or the lock's folder cannot be used; says who holds it.
        """
        mode = "exclusive" if exclusive else "shared"
        if self.held == mode:
            return
        self.release()
        waiting = _Patience(self, clock.monotonic() + timeout_s, timeout_s, on_wait)
        with (
            self._locked("gate.lock", fcntl.LOCK_EX, waiting),
            self._locked("machine.lock", fcntl.LOCK_EX if exclusive else fcntl.LOCK_SH, waiting) as machine,
        ):
            self._note = self._write_note(mode)
            self._descriptor, self.held = os.dup(machine), mode

    def release(self) -> None:
        """Let go of the machine; nothing happens where it is not held."""
        if self._note is not None:
            self._note.unlink(missing_ok=True)
        if self._descriptor is not None:
            fcntl.flock(self._descriptor, fcntl.LOCK_UN)  # closing alone leaves it with children that a test forked
            os.close(self._descriptor)
        self._descriptor = self._note = self.held = None

    def holders(self) -> str:
        """Who holds the machine now, in words."""
        found = [words for path in sorted(self.folder.glob("holder-*.json")) if (words := _read_note(path))]
        return ", ".join(found) or "another process"

    @contextlib.contextmanager
    def _locked(self, name: str, how: int, waiting: _Patience) -> Iterator[int]:
        """Lock a file that is still there once it is locked: others would lock the one that took its place."""
        while True:
            with self._opened(name) as descriptor:
                waiting.until(lambda: _try(descriptor, how))
                if _is_at(descriptor, self.folder / name):
                    yield descriptor
                    return

    @contextlib.contextmanager
    def _opened(self, name: str) -> Iterator[int]:
        try:
            _make_for_all(self.folder)
            descriptor = _open_for_all(self.folder / name)
        except OSError as error:
            raise InfraError(
                f"the machine lock in {self.folder} cannot be used: {error.strerror}",
                category=Category.LOCAL_REFUSED,
                hint="let every user of this machine write there, or remove the folder",
            ) from error
        try:
            yield descriptor
        finally:
            os.close(descriptor)

    def _write_note(self, mode: str) -> Path | None:
        """Who we are, for the message of those who wait; without it (a full disk) the lock holds as well."""
        self.holders()  # sweeps notes whose holders are gone
        content = {"pid": os.getpid(), "mode": mode, "command": Path(sys.argv[0]).name}
        try:
            descriptor, name = tempfile.mkstemp(prefix="holder-", suffix=".json", dir=self.folder)
            with os.fdopen(descriptor, "w") as note:
                os.fchmod(note.fileno(), 0o644)
                json.dump(content, note)
        except OSError:
            return None
        return Path(name)


class _Patience:
    """One deadline over several waits, and one word to the user."""

    def __init__(
        self, lock: MachineLock, deadline: float, timeout_s: float, on_wait: Callable[[str], None] | None
    ) -> None:
        self._lock = lock
        self._deadline = deadline
        self._timeout_s = timeout_s
        self._on_wait = on_wait
        self._speak_at = clock.monotonic() + _QUIET_S

    def until(self, succeeds: Callable[[], bool]) -> None:
        while not succeeds():
            if self._on_wait is not None and clock.monotonic() >= self._speak_at:
                self._on_wait(f"waiting for the machine: {self._lock.holders()}")
                self._on_wait = None
            if clock.monotonic() >= self._deadline:
                raise InfraError(
                    f"the machine was not free within {self._timeout_s:g} s: {self._lock.holders()}",
                    category=Category.LOCAL_REFUSED,
                    hint="wait for it to end, or raise --llmbench-lock-timeout-s",
                )
            clock.sleep(_POLL_S)


def _try(descriptor: int, how: int) -> bool:
    try:
        fcntl.flock(descriptor, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def _is_at(descriptor: int, path: Path) -> bool:
    """Whether an open file is the one that the path names now; cleaners of temporary folders remove old ones."""
    try:
        return os.path.samestat(os.fstat(descriptor), path.lstat())
    except FileNotFoundError:
        return False


def _make_for_all(folder: Path) -> None:
    """Make the folder with its rights in one step: a kill in between would lock other users out."""
    with contextlib.suppress(FileNotFoundError):
        if not stat.S_ISDIR(folder.lstat().st_mode):
            raise NotADirectoryError(0, f"{folder} is not a folder")
        return
    half = folder.with_name(f"{folder.name}.{secrets.token_hex(8)}")
    half.mkdir(mode=0o700)
    try:
        half.chmod(_FOLDER_FOR_ALL)
        half.rename(folder)
    except OSError:
        if not folder.is_dir():  # else somebody was faster
            raise
    finally:
        with contextlib.suppress(FileNotFoundError):
            half.rmdir()


def _open_for_all(path: Path) -> int:
    """Open a lock file, made with its rights in one step; a link that somebody planted is not followed."""
    while True:
        with contextlib.suppress(FileNotFoundError):
            return os.open(path, os.O_RDWR | os.O_NOFOLLOW)
        half = path.with_name(f"{path.name}.{secrets.token_hex(8)}")
        descriptor = os.open(half, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW, 0o600)
        try:
            os.fchmod(descriptor, _ONE_FOR_ALL)
            with contextlib.suppress(FileExistsError):
                os.link(half, path, follow_symlinks=False)
        finally:
            os.close(descriptor)
            half.unlink()


def _read_note(path: Path) -> str:
    """A holder in words; "" where its process is gone. Notes are other users' texts: bounded and made safe."""
    try:
        with path.open(encoding="utf-8", errors="replace") as file:
            note = json.loads(file.read(4096))
        pid, mode, command = int(note["pid"]), str(note["mode"]), str(note["command"])
    except (OSError, ValueError, KeyError, TypeError):
        return ""
    if not _lives(pid):
        with contextlib.suppress(OSError):
            path.unlink()
        return ""
    return f"process {pid} ({display_safe(command, keep='')[:60]}) has it {display_safe(mode, keep='')[:20]}"


def _lives(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except (ProcessLookupError, OverflowError):
        return False
    except PermissionError:  # another user's
        return True
    return True
