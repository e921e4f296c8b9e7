"""Answers as they come, on a terminal: one after the other, reasoning dimmed, and below each what it took."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

from pytest_llmbench.chat.asking import Answer, Done, Event, Piece, Restart, Waiting
from pytest_llmbench.chat.conversation import State
from pytest_llmbench.chat.figures import line_of, trouble_of
from pytest_llmbench.chat.ink import Inks
from pytest_llmbench.chat.safe_text import Parted, SafeText
from pytest_llmbench.errors import Category, InfraError
from pytest_llmbench.records import Reply

AGAIN = " (/retry asks again)"
"""What is said in a conversation behind an answer that is none."""
_SHORTER = " (/undo and /clear make the conversation shorter)"
QUIET_S = 0.7
"""After so long without a piece the user is told what is waited for."""


class Showing(Protocol):
    """What a user sees of the answers to one question."""

    live: bool
    """Whether pieces are wanted as they come."""

    def show(self, event: Event) -> None:
        """Show one event."""

    def waits(self, silent_s: float, states: Mapping[str, str]) -> None:
        """Nothing came for so long; `states`: model → what holds it up, where that is known."""

    def end(self) -> None:
        """Nothing follows."""


Shows = Callable[[Sequence[str], str], Showing]
"""(who answers, id of the chat) → what shows the answers to one question."""


class Flowing:
    """Each answer as it comes; of several models one after the other, the later ones from memory.

    Args:
        inks: where to.
        names: who answers.
        hint: what is said behind an answer that is none.
    """

    live = True

    def __init__(self, inks: Inks, names: Sequence[str], hint: str = "") -> None:
        self._inks = inks
        self._names = names
        self._hint = hint
        self._front = 0
        self._kept: dict[int, list[Event]] = {who: [] for who in range(len(names))}
        self._waiting_for = ""
        self._writing = Written(inks)
        self._head()

    def show(self, event: Event) -> None:
        self._kept[event.who].append(event)
        while self._front < len(self._names) and (events := self._kept[self._front]):
            self._show(events.pop(0))

    def waits(self, silent_s: float, states: Mapping[str, str]) -> None:
        if self._front < len(self._names) and silent_s >= QUIET_S and not self._writing.is_amid_line:
            name = self._names[self._front]
            what = states.get(name) or self._waiting_for or "waiting"
            told = what if name in what else f"{name}: {what}"
            self._inks.notes.status(f"{told} · {silent_s:.0f} s · Ctrl-C stops")

    def end(self) -> None:
        self._inks.notes.erase()

    def _show(self, event: Event) -> None:
        if isinstance(event, Waiting):
            self._waiting_for = event.text
            self._inks.notes.status(f"{event.text} · Ctrl-C stops")
            return
        self._waiting_for = ""
        self._inks.notes.erase()
        if isinstance(event, Piece):
            self._writing.piece(event.text, is_thought=event.is_thought)
        elif isinstance(event, Restart):
            self._writing.close()
            self._writing = Written(self._inks)
            self._inks.notes.line(f"  {event.text}", dim=True)
        elif isinstance(event, Done):
            self._end_of(event.answer)

    def _end_of(self, answer: Answer) -> None:
        if answer.reply is not None:
            self._writing.whole(answer.reply)
        self._writing.close()
        tell_end(self._inks, answer, self._hint)
        self._front += 1
        self._writing = Written(self._inks)
        self._head()

    def _head(self) -> None:
        if len(self._names) > 1 and self._front < len(self._names):
            self._inks.answers.line(self._names[self._front], bold=True)


class Written:
    """One answer on its way to the terminal."""

    def __init__(self, inks: Inks) -> None:
        self._inks = inks
        self._safe = SafeText()
        self._parted = Parted()
        self._is_thought = False
        self._heard: set[bool] = set()
        """Whether pieces of its text (False) and of its reasoning (True) came."""
        self._last = "\n"
        """The last character that was written."""

    @property
    def is_amid_line(self) -> bool:
        """Whether what follows goes on in a line that was begun."""
        return self._last != "\n"

    def piece(self, text: str, *, is_thought: bool) -> None:
        """Some of it."""
        self._heard.add(is_thought)
        self._put_all([(text, True)] if is_thought else self._parted.take(text))

    def whole(self, reply: Reply) -> None:
        """Complete: what did not come in pieces is written now."""
        if True not in self._heard:
            self._put_all([(reply.reasoning, True)])
        if False not in self._heard:
            self.piece(reply.text, is_thought=False)
        self._put_all(self._parted.rest())
        self._put_all([(f"[calls {call.name}({call.arguments})]\n", True) for call in reply.tool_calls])

    def close(self) -> None:
        """Nothing follows."""
        self._put_all(self._parted.rest())
        self._end_part()

    def _put_all(self, parts: Iterable[tuple[str, bool]]) -> None:
        for text, is_thought in parts:
            if text and is_thought != self._is_thought:
                self._end_part()
                self._is_thought = is_thought
            self._write(self._safe.take(text))

    def _end_part(self) -> None:
        """What follows is of another kind, and begins a line."""
        self._write(self._safe.rest())
        if self.is_amid_line:
            self._write("\n")

    def _write(self, text: str) -> None:
        """Reasoning is no answer: it goes where notes go, where somebody looks at those."""
        ink = self._inks.notes if self._is_thought else self._inks.answers
        if text and (ink.is_terminal or not self._is_thought):
            ink.write(text, dim=self._is_thought)
            self._last = text[-1]


def tell_end(inks: Inks, answer: Answer, hint: str = "") -> None:
    """Tell what an answer took, or why there is none and what can be done."""
    if answer.reply is not None:
        inks.notes.line(f"  {line_of(answer.reply)}", dim=True)
        return
    first, line_end, more = trouble_of(answer).partition("\n")
    told = f"  {answer.model}: {first}{way_out(answer, hint)}{line_end}{more}"
    inks.notes.line(told, dim=answer.state is State.CUT)


def way_out(answer: Answer, hint: str) -> str:
    """What is said behind why there is no answer.

    Args:
        answer: it.
        hint: how to ask again; empty where nothing can be typed.
    """
    if not isinstance(answer.error, InfraError) or not hint:
        return ""
    return _SHORTER if answer.error.category is Category.CONTEXT_LENGTH else hint
