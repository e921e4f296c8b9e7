"""The answers of several models side by side, on a terminal that is wide enough."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from rich.console import Console
from rich.live import Live
from rich.table import Table
from rich.text import Text

from pytest_llmbench.chat.asking import Answer, Done, Event, Piece, Restart
from pytest_llmbench.chat.figures import line_of, trouble_of
from pytest_llmbench.chat.ink import Inks
from pytest_llmbench.chat.safe_text import Parted
from pytest_llmbench.chat.showing import QUIET_S
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
    parts: list[tuple[str, bool]] = field(default_factory=list)
    """(text, whether it is reasoning), as they came."""
    parted: Parted = field(default_factory=Parted)
    foot: str = ""
    """What it took, or what is waited for."""
    has_text: bool = False

    def take(self, piece: Piece) -> None:
        self.has_text = self.has_text or not piece.is_thought
        self.parts += [(piece.text, True)] if piece.is_thought else self.parted.take(piece.text)

    def end(self, answer: Answer) -> None:
        reply = answer.reply
        if reply is not None:
            if not self.has_text:
                self.parts += [(reply.reasoning, True)] if not self.parts else []
                self.parts += self.parted.take(reply.text)
            self.parts += self.parted.rest()
            self.parts += [(f"\n[calls {call.name}({call.arguments})]", True) for call in reply.tool_calls]
        else:
            self.parts += self.parted.rest()
        self.foot = line_of(reply) if reply is not None else trouble_of(answer)

    def text(self) -> Text:
        """All of it, safe and styled; neighbours of one kind are made safe together, so that no key is cut in two."""
        joined: list[tuple[str, bool]] = []
        for part, is_thought in self.parts:
            if joined and joined[-1][1] is is_thought:
                joined[-1] = (joined[-1][0] + part, is_thought)
            else:
                joined.append((part, is_thought))
        shown = [Text(terminal_safe(part).strip("\n"), style="dim" if thought else "") for part, thought in joined]
        return Text("\n").join(shown)


class Columns:
    """All answers at once, each in its column; while they come, the last lines of each.

    Args:
        inks: where to.
        names: who answers.
        hint: what is said behind an answer that is none.
    """

    live = True

    def __init__(self, inks: Inks, names: Sequence[str], hint: str = "") -> None:
        self._console = Console(file=inks.answers.stream, highlight=False, no_color=not inks.answers.has_colours)
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
            column.parts.append((f"\n{event.text}\n", True))
            column.parted, column.has_text = Parted(), False
        elif isinstance(event, Done):
            column.end(event.answer)
            column.foot += "" if event.answer.reply is not None else self._hint
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
        tails = [Text("\n").join(column.text().wrap(self._console, width)[-most:]) for column in self._columns]
        return self._table(tails)

    def _table(self, texts: Sequence[Text]) -> Table:
        table = Table.grid(padding=(0, _GAP), expand=True)
        for _ in self._columns:
            table.add_column(ratio=1, overflow="fold")
        table.add_row(*(Text(terminal_safe(column.name, keep=""), style="bold") for column in self._columns))
        table.add_row(*texts)
        table.add_row(*(Text(terminal_safe(column.foot), style="dim") for column in self._columns))
        return table
