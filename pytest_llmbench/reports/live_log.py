"""Shows calls to models on the terminal as they end, read from the request log: so it is the same for whatever process
makes them."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

from pytest_llmbench.observe.log_choice import is_problem
from pytest_llmbench.observe.log_fields import LOG, WAITING, Line
from pytest_llmbench.observe.log_reading import LogReader
from pytest_llmbench.reports import terminal_lines
from pytest_llmbench.reports.live import Shown
from pytest_llmbench.reports.log_words import LogWords

LOOK_S = 0.3
_HIDDEN = frozenset({LOG, WAITING})


class LiveLog:
    """A thread that looks and shows, from its making on.

    Args:
        shown: what is shown while tests run.
        reader: of the run's log.
        is_wanted: which lines are shown.
        styled: gives a text with its style, a key of `terminal_lines.MARKUP`, as the terminal takes it.
        cuts: whether lines have to fit onto a terminal.
        resuming: whether an earlier session of the run has shown what is there already.
    """

    def __init__(
        self,
        shown: Shown,
        reader: LogReader,
        is_wanted: Callable[[Line], bool],
        styled: Callable[[str, str], str],
        *,
        cuts: bool,
        resuming: bool,
    ) -> None:
        self._shown = shown
        self._reader = reader
        self._is_wanted = is_wanted
        self._styled = styled
        self._cuts = cuts
        self._columns = shown.columns()
        while resuming and reader.look():
            pass
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._look_on, name="llmbench-log-console", daemon=True)
        self._thread.start()

    def end(self) -> None:
        """Show what has come, and stop; nothing is shown afterwards."""
        self._over.set()
        self._thread.join()

    def rest(self) -> list[str]:
        """The lines that have come since `end`."""
        return list(self._new())

    def _look_on(self) -> None:
        while not self._over.wait(LOOK_S):
            self._look()
        self._look()

    def _look(self) -> None:
        self._columns = self._shown.columns()
        for text in self._new():
            self._shown.add(text)

    def _new(self) -> Iterator[str]:
        words = LogWords(self._columns if self._cuts else None)
        for line in self._reader.look():
            if line.get("event") not in _HIDDEN and self._is_wanted(line):
                yield from map(self._text, words.of(line))

    def _text(self, line: terminal_lines.Line) -> str:
        return "".join(self._styled(text, style) if style else text for text, style in line)


def begin(reporter: Any, shown: Shown, folder: Path, which: str, *, resuming: bool) -> LiveLog:
    """Begin to show.

    Args:
        reporter: pytest's terminal reporter: it knows whether there are to be colours.
        shown: what is shown while tests run.
        folder: where the run's log is written.
        which: the option `log_console`.
        resuming: as of `LiveLog`.
    """
    writer = reporter._tw  # noqa: SLF001 - pytest has no other way to ask for colours
    is_wanted = is_problem if which == "problems" else lambda _: True
    reader = LogReader.of_folder(folder)
    return LiveLog(
        shown,
        reader,
        is_wanted,
        lambda text, style: writer.markup(text, **terminal_lines.MARKUP[style]),
        cuts=reporter.isatty,
        resuming=resuming,
    )
