"""Writing to standard output and standard error: answers go to the one, everything else to the other."""

from __future__ import annotations

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from typing import TextIO

from pytest_llmbench.display import terminal_safe
from pytest_llmbench.errors import Category, InfraError

_DIM, _BOLD, _PLAIN = "\x1b[2m", "\x1b[1m", "\x1b[0m"
_ERASE_LINE = "\r\x1b[K"
_USUAL_COLUMNS = 80
"""Of a terminal that does not tell."""


@dataclass(slots=True)
class Ink:
    """One of the two; plain text only where it is no terminal.

    Args:
        stream: where to.
        is_terminal: whether somebody looks at it.
        has_colours: whether text may be dimmed.
        can_erase: whether a line may be taken back.
    """

    stream: TextIO
    is_terminal: bool
    has_colours: bool
    can_erase: bool
    _status: str = ""
    """What stands in the last line for a moment."""

    @classmethod
    def of(cls, stream: TextIO, environ: Mapping[str, str] = os.environ) -> Ink:
        """For a stream of this process."""
        is_terminal = stream.isatty()
        can_erase = is_terminal and environ.get("TERM") != "dumb"
        return cls(stream, is_terminal, can_erase and not environ.get("NO_COLOR"), can_erase)

    def write(self, text: str, *, dim: bool = False, bold: bool = False) -> None:
        """Write text that is safe already."""
        self.erase()
        if text:
            self._put(self._marked(text, dim=dim, bold=bold))

    def line(self, text: str, *, dim: bool = False, bold: bool = False) -> None:
        """Write lines of text, made safe."""
        self.write(terminal_safe(text), dim=dim, bold=bold)
        self.write("\n")

    def status(self, text: str) -> None:
        """Show one line until something else is written; nothing where nobody looks.

        It takes the place of the line that was begun: only for where none was.
        """
        if self.can_erase and text != self._status:
            columns = os.get_terminal_size(self.stream.fileno()).columns or _USUAL_COLUMNS
            shown = terminal_safe(text, keep="")[: columns - 1]
            self._put(f"{_ERASE_LINE}{self._marked(shown, dim=True)}")
            self._status = text

    def erase(self) -> None:
        """Take the status away."""
        if self._status:
            self._status = ""
            self._put(_ERASE_LINE)

    def _marked(self, text: str, *, dim: bool = False, bold: bool = False) -> str:
        marks = (_DIM if dim else "") + (_BOLD if bold else "") if self.has_colours else ""
        return f"{marks}{text}{_PLAIN}" if marks else text

    def _put(self, text: str) -> None:
        try:
            self.stream.write(text)
            self.stream.flush()
        except BrokenPipeError:  # who reads has seen enough
            raise
        except OSError as error:
            what = "standard output" if self.stream is sys.stdout else "standard error"
            raise InfraError(
                f"{what} cannot be written: {error.strerror}",
                category=Category.STORE,
                hint="what was answered is kept: `llmbench chat --continue` has it",
            ) from error


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
