"""Writing to standard output and standard error: answers go to the one, everything else to the other."""

from __future__ import annotations

import os
import shutil
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TextIO

from pytest_llmbench.display import terminal_safe

_DIM, _BOLD, _PLAIN = "\x1b[2m", "\x1b[1m", "\x1b[0m"
_ERASE_LINE = "\r\x1b[K"


@dataclass(slots=True)
class Ink:
    """One of the two; plain text only where it is no terminal.

    Args:
        stream: where to.
        is_terminal: whether somebody looks at it.
        has_colours: whether text may be dimmed.
    """

    stream: TextIO
    is_terminal: bool
    has_colours: bool
    _status: str = ""
    """What stands in the last line for a moment."""

    @classmethod
    def of(cls, stream: TextIO, environ: Mapping[str, str] = os.environ) -> Ink:
        """For a stream of this process."""
        is_terminal = stream.isatty()
        plain = environ.get("NO_COLOR") or environ.get("TERM") == "dumb"
        return cls(stream, is_terminal, is_terminal and not plain)

    def write(self, text: str, *, dim: bool = False, bold: bool = False) -> None:
        """Write text that is safe already."""
        self.erase()
        if text:
            marks = (_DIM if dim else "") + (_BOLD if bold else "") if self.has_colours else ""
            self.stream.write(f"{marks}{text}{_PLAIN}" if marks else text)
            self.stream.flush()

    def line(self, text: str, *, dim: bool = False, bold: bool = False) -> None:
        """Write lines of text, made safe."""
        self.write(terminal_safe(text), dim=dim, bold=bold)
        self.write("\n")

    def status(self, text: str) -> None:
        """Show one line until something else is written; nothing where nobody looks."""
        if self.has_colours and text != self._status:
            shown = terminal_safe(text, keep="")[: shutil.get_terminal_size().columns - 1]
            self.stream.write(f"{_ERASE_LINE}{_DIM}{shown}{_PLAIN}")
            self.stream.flush()
            self._status = text

    def erase(self) -> None:
        """Take the status away."""
        if self._status:
            self._status = ""
            self.stream.write(_ERASE_LINE)
            self.stream.flush()


@dataclass(frozen=True, slots=True)
class Inks:
    """Both."""

    answers: Ink
    notes: Ink

    @classmethod
    def of_process(cls) -> Inks:
        """Standard output and standard error of this process."""
        return cls(Ink.of(sys.stdout), Ink.of(sys.stderr))

    def say(self, text: str) -> None:
        """Tell the user something that is no answer."""
        self.notes.line(f"llmbench: {text}", dim=True)
