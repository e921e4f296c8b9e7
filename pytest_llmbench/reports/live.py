"""Shows how asking goes while tests run: a line below pytest's own output, or on other outputs a line a step.

The line below is drawn by moving the cursor and back, and erased before pytest writes on, so pytest's output stays what
it is without it. It is written to a duplicate of the terminal, since pytest redirects its own while a test runs.
"""

from __future__ import annotations

import contextlib
import os
import threading
from abc import ABC, abstractmethod
from collections.abc import Callable
from typing import Any, Protocol, TextIO

from pytest_llmbench import clock
from pytest_llmbench.asker.question import Status
from pytest_llmbench.reports import progress

LOOK_S = 0.25
IDLE_S = 1.0
"""Between two looks where nobody asks, and where somebody measures."""
STEP = 0.1
"""On other outputs: a line for each such share of what is to be asked …"""
STEP_S = 10.0
"""… and where that takes longer, one each time …"""
FIRST_S = 2.0
"""… but none before: what is quick needs none."""

_ROOM = b"\x1bD\x1bM"
"""One line down, which scrolls on the last one, and up again: now there is a line below."""
_SAVE_AND_DOWN = b"\x1b7\x1b[B\r"
_CLEAR_LINE = b"\x1b[K"
_RESTORE = b"\x1b8"
_CLEAR_BELOW = "\x1b[J"
_COLUMNS = 80


class Screen:
    """What pytest writes to, and what is shown below it.

    Args:
        file: pytest's.
        descriptor: of the same terminal or file, not redirected while tests run; closed with the screen.
    """

    def __init__(self, file: TextIO, descriptor: int) -> None:
        self._file = file
        self._descriptor = descriptor
        self._turn = threading.RLock()
        self._shown = b""
        self._at_start = True

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)

    def write(self, text: str) -> int:
        """As pytest writes it; what is shown below moves with it."""
        with self._turn:
            self._file.write(_CLEAR_BELOW + text if self._shown else text)
            self._at_start = text.endswith("\n") if text else self._at_start
            if self._shown:
                self._file.flush()
                self._draw()
        return len(text)

    def show(self, text: str) -> None:
        """Show a line below; an empty one erases it."""
        with self._turn:
            if self._shown and not text:
                self._put(_CLEAR_BELOW.encode())
            self._shown = text.encode("utf-8", "replace")
            if self._shown:
                self._file.flush()
                self._draw()

    def add(self, text: str) -> None:
        """A line of its own, for good."""
        with self._turn:
            self._file.flush()
            below = _CLEAR_BELOW if self._shown else ""
            self._put(f"{below}{'' if self._at_start else os.linesep}{text}{os.linesep}".encode("utf-8", "replace"))
            self._at_start = True
            if self._shown:
                self._draw()

    def columns(self) -> int:
        """How wide it is, or is taken to be where that cannot be known."""
        try:
            return os.get_terminal_size(self._descriptor).columns or _COLUMNS
        except OSError:
            return _COLUMNS

    def end(self) -> TextIO:
        """Erase what is below; pytest's file as it was."""
        self.show("")
        os.close(self._descriptor)
        return self._file

    def _draw(self) -> None:
        self._put(_ROOM + _SAVE_AND_DOWN + self._shown + _CLEAR_LINE + _RESTORE)

    def _put(self, data: bytes) -> None:
        with contextlib.suppress(OSError):  # the terminal has gone, or is full: progress is not worth an error
            os.write(self._descriptor, data)


class Onlooker(ABC):
    """A thread that looks and shows, from its making on.

    Args:
        screen: where to.
        live: a line below, or a line a step.
    """

    def __init__(self, screen: Screen, *, live: bool) -> None:
        self._screen = screen
        self._live = live
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look_on, name="llmbench-progress", daemon=True)
        self._thread.start()

    def end(self) -> TextIO:
        """Stop and erase; pytest's file as it was."""
        self._over.set()
        self._thread.join()
        return self._screen.end()

    def add(self, text: str) -> None:
        """A line of its own, for good; may be called in any thread."""
        self._screen.add(text)

    def columns(self) -> int:
        """How wide the terminal is."""
        return self._screen.columns()

    @abstractmethod
    def _look_on(self) -> None:
        """What the thread does until it is over."""


class Display(Onlooker):
    """Shows how asking goes.

    Args:
        status: how asking goes; None where nobody asks.
        screen: where to.
        live: a line below, or a line a step.
    """

    def __init__(self, status: Callable[[], Status | None], screen: Screen, *, live: bool) -> None:
        self._status = status
        self._pace = progress.Pace()
        self._began_at: float | None = None
        self._told: tuple[float, float] | None = None
        super().__init__(screen, live=live)

    def _look_on(self) -> None:
        wait_s = LOOK_S
        while not self._over.wait(wait_s):
            status = self._status()
            wait_s = IDLE_S if status is None or status.paused else LOOK_S
            if status is None or not status.models:
                continue
            self._pace.look(status)
            if self._live:
                self._screen.show(self._line_below(status))
            elif self._is_due(status):
                self._screen.add(f"llmbench: {progress.line(status, self._pace)}")

    def _line_below(self, status: Status) -> str:
        """Nothing once all is answered: the tests are not waiting for it any more."""
        if progress.finished(status) == progress.total(status):
            return ""
        return progress.line(status, self._pace, self._screen.columns() - 1)

    def _is_due(self, status: Status) -> bool:
        now, share = clock.monotonic(), progress.finished(status) / max(1, progress.total(status))
        self._began_at = self._began_at or now
        told_at, told = self._told or (self._began_at, 0.0)
        if share == told or now - self._began_at < FIRST_S or (share - told < STEP and now - told_at < STEP_S):
            return False
        self._told = (now, share)
        return True


def display(reporter: Any, capture: Any, status: Callable[[], Status | None], how: str) -> Display | None:
    """Begin to show how asking goes; None where it is not wanted, or where nobody would see it.

    Args:
        reporter: pytest's terminal reporter.
        capture: pytest's capture manager.
        status: how asking goes; None where nobody asks.
        how: the option `progress`.
    """
    made = screen_of(reporter, capture, how)
    return None if made is None else Display(status, made[0], live=made[1])


def screen_of(reporter: Any, capture: Any, how: str) -> tuple[Screen, bool] | None:
    """A screen in the place of what pytest writes to, and whether a line is shown below; arguments as of `display`."""
    if reporter is None or how == "off":
        return None
    writer = reporter._tw  # noqa: SLF001 - pytest has no other way to see what it writes
    try:
        with capture.global_and_fixture_disabled() if capture else contextlib.nullcontext():
            descriptor = os.dup(writer._file.fileno())  # noqa: SLF001
    except (OSError, AttributeError):  # it goes to no file of the system
        return None
    captured = reporter.config.getoption("capture") != "no"  # else tests write between
    is_terminal = os.isatty(descriptor) and os.environ.get("TERM", "dumb") != "dumb"
    screen = Screen(writer._file, descriptor)  # noqa: SLF001
    writer._file = screen  # noqa: SLF001
    return screen, how == "live" or (how == "auto" and is_terminal and captured)


class Shown(Protocol):
    """What shows something while tests run."""

    def add(self, text: str) -> None:
        """A line of its own, for good; may be called in any thread."""

    def columns(self) -> int:
        """How wide the terminal is."""

    def end(self) -> TextIO:
        """Stop and erase; pytest's file as it was."""


def end(reporter: Any, shown: Shown | None) -> None:
    """Erase it; pytest writes as it did before."""
    if shown is not None:
        reporter._tw._file = shown.end()  # noqa: SLF001
