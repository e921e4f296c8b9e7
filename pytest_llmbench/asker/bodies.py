"""Which questions the asker's process knows, whom it asked for the others, and who waits for them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from pytest_llmbench.asker.question import Question

_Line = TypeVar("_Line")


@dataclass(slots=True)
class _Waiting(Generic[_Line]):
    """Something to be done once `missing` more questions are known."""

    line: _Line
    missing: int
    then: Callable[[], None]


class Bodies(Generic[_Line]):
    """The questions that lines named, each asked for only once.

    Args:
        need: asks a line for the bodies of these keys.
    """

    def __init__(self, need: Callable[[_Line, list[str]], None]) -> None:
        self._need = need
        self._known: dict[str, Question] = {}
        self._holders: defaultdict[str, dict[_Line, None]] = defaultdict(dict)
        """Of unknown questions: the lines that have them; the first one was asked."""
        self._waiting: defaultdict[str, list[_Waiting[_Line]]] = defaultdict(list)

    def __getitem__(self, key: str) -> Question:
        return self._known[key]

    def when_known(self, line: _Line, keys: Sequence[str], then: Callable[[], None]) -> None:
        """Do something as soon as all of these are known; what nobody was asked for is asked of this line.

        Args:
            line: who named them.
            keys: ids of questions.
            then: done at once where nothing is missing; never, where the line is gone before.
        """
        unknown = {key: None for key in keys if key not in self._known}
        if not unknown:
            then()
            return
        waiting = _Waiting(line, len(unknown), then)
        new = [key for key in unknown if not self._holders[key]]
        for key in unknown:
            self._holders[key][line] = None
            self._waiting[key].append(waiting)
        if new:
            self._need(line, new)

    def arrived(self, questions: Iterable[Question]) -> None:
        """Take bodies in; what waited for the last of them is done."""
        ready: dict[int, _Waiting[_Line]] = {}
        for question in questions:
            self._known.setdefault(question.id, question)
            self._holders.pop(question.id, None)
            for waiting in self._waiting.pop(question.id, ()):
                waiting.missing -= 1
                if not waiting.missing:
                    ready[id(waiting)] = waiting
        for waiting in ready.values():
            waiting.then()

    def gone(self, line: _Line) -> None:
        """A line ended: others are asked for what it did not send any more."""
        asked: defaultdict[_Line, list[str]] = defaultdict(list)
        for key, holders in list(self._holders.items()):
            if line in holders:
                was_asked = next(iter(holders)) is line
                del holders[line]
                self._waiting[key] = [waiting for waiting in self._waiting[key] if waiting.line is not line]
                if not holders:
                    del self._holders[key], self._waiting[key]
                elif was_asked:
                    asked[next(iter(holders))].append(key)
        for other, keys in asked.items():
            self._need(other, keys)
