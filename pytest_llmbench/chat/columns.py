"""The answers of several models side by side, on a terminal that is wide enough."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Literal

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from pytest_llmbench.chat.asking import Answer, Done, Event, Piece, Restart
from pytest_llmbench.chat.figures import line_of, trouble_of
from pytest_llmbench.chat.ink import Inks
from pytest_llmbench.chat.safe_text import Parted, SafeText
from pytest_llmbench.chat.showing import QUIET_S, way_out
from pytest_llmbench.display import terminal_safe

NARROWEST = 36
"""Characters of a column that can still be read."""
_GAP = 2
_REST_LINES = 6
"""Of the screen: heads, figures and the prompt."""
_REDRAWN_A_SECOND = 8


def are_possible(count: int, width: int) -> bool:
    """Whether so many columns fit side by side."""
    return (width + _GAP) // count - _GAP >= NARROWEST


@dataclass(slots=True)
class _Column:
    """One model's part of the screen."""

    name: str
    parts: list[tuple[list[str], bool]] = field(default_factory=list)
    """(pieces of it, safe; whether it is reasoning) of each part of the answer, as they came."""
    parted: Parted = field(default_factory=Parted)
    safe: SafeText = field(default_factory=SafeText)
    foot: str = ""
    """What it took, or what is waited for."""
    has_text: bool = False

    def take(self, piece: Piece) -> None:
        self.has_text = self.has_text or not piece.is_thought
        self._put([(piece.text, True)] if piece.is_thought else self.parted.take(piece.text))

    def restart(self, why: str) -> None:
        self._put([*self.parted.rest(), (f"\n{why}\n", True)])
        self.parted, self.has_text = Parted(), False

    def end(self, answer: Answer) -> None:
        reply = answer.reply
        if reply is not None and not self.has_text:
            self._put([] if self.parts else [(reply.reasoning, True)])
            self._put(self.parted.take(reply.text))
        self._put(self.parted.rest())
        if reply is not None:
            self._put((f"\n[calls {call.name}({call.arguments})]", True) for call in reply.tool_calls)
        self._close()
        self.foot = line_of(reply) if reply is not None else trouble_of(answer)

    def text(self, most: int = sys.maxsize) -> Text:
        """The end of it, so many characters; styled."""
        shown: list[Text] = []
        for pieces, is_thought in reversed(self.parts):
            part = _end_of("".join(pieces).strip("\n"), most)
            shown.append(Text(part, style="dim" if is_thought else ""))
            if (most := most - len(part)) <= 0:
                break
        return Text("\n").join(reversed(shown))

    def _put(self, parts: Iterable[tuple[str, bool]]) -> None:
        for text, is_thought in parts:
            if text and not (self.parts and self.parts[-1][1] is is_thought):
                self._close()
                self.parts.append(([], is_thought))
            if text:
                self.parts[-1][0].append(self.safe.take(text))

    def _close(self) -> None:
        """The last part is complete."""
        if self.parts:
            self.parts[-1][0].append(self.safe.rest())


def _end_of(text: str, most: int) -> str:
    """Its last characters, from the beginning of a line where one is near."""
    end = text[-most:]
    return end[end.find("\n", 0, most // 2) + 1 :] if len(end) < len(text) else text


class Columns:
    """All answers at once, each in its column; while they come, the last lines of each.

    Args:
        inks: where to.
        names: who answers.
        hint: what is said behind an answer that is none.
    """

    live = True

    def __init__(self, inks: Inks, names: Sequence[str], hint: str = "") -> None:
        colours: Literal["auto"] | None = "auto" if inks.answers.has_colours else None
        self._console = Console(file=inks.answers.stream, highlight=False, color_system=colours)
        self._columns = [_Column(name) for name in names]
        self._hint = hint
        self._live = Live(
            get_renderable=self._screen,
            console=self._console,
            refresh_per_second=_REDRAWN_A_SECOND,
            transient=True,
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._live.start()

    def show(self, event: Event) -> None:
        column = self._columns[event.who]
        if isinstance(event, Piece):
            column.foot = ""
            column.take(event)
        elif isinstance(event, Restart):
            column.restart(event.text)
        elif isinstance(event, Done):
            column.end(event.answer)
            column.foot += way_out(event.answer, self._hint)
        else:
            column.foot = event.text

    def waits(self, silent_s: float, states: Mapping[str, str]) -> None:
        if silent_s >= QUIET_S:
            for column in self._columns:
                column.foot = column.foot or states.get(column.name) or ("" if column.parts else "waiting")

    def end(self) -> None:
        self._live.stop()
        self._console.print(self._table([column.text() for column in self._columns]))

    def _screen(self) -> Table:
        """What fits: the last lines of each column."""
        width = max(1, (self._console.width + _GAP) // len(self._columns) - _GAP)
        most = max(1, self._console.height - _REST_LINES)
        ends = [column.text(2 * most * width).wrap(self._console, width)[-most:] for column in self._columns]
        return self._table([Text("\n").join(lines) for lines in ends])

    def _table(self, texts: Sequence[Text]) -> Table:
        table = Table.grid(padding=(0, _GAP), expand=True)
        for _ in self._columns:
            table.add_column(ratio=1, overflow="fold")
        table.add_row(*(Text(terminal_safe(column.name, keep=""), style="bold") for column in self._columns))
        table.add_row(*texts)
        table.add_row(*(Text(terminal_safe(column.foot), style="dim") for column in self._columns))
        return table
