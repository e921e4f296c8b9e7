"""`demo/judge` and its likes: they judge by rules, in the form that the request's JSON schema asks for.

How good a reply is they see from words: how many of the expected answer's it has, else how many of its own the source
has, else how friendly it is. Each but `judge` has a fault that calibration has to find.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

_PIECE = re.compile(r"\[BEGIN ([A-Z ]+) ([0-9a-f]{16})\]\n(.*?)\n\[END \1 \2\]", re.DOTALL)
_WORD = re.compile(r"\w{2,}")
_KIND = {"glad", "happy", "help", "kindly", "please", "sorry", "thank", "thanks", "welcome"}
_RUDE = {"idiot", "nonsense", "obviously", "stupid", "wrong", "yourself"}
_LONG = 400
"""Characters from which on `judge-long` finds a reply long."""
_HALF = 0.5

Draw = Callable[..., float]


@dataclass(frozen=True, slots=True)
class Habit:
    """What is wrong with a judge."""

    accuracy: float = 0.95
    """Share of the replies whose quality it sees as it is; of the others it sees the opposite."""
    sees_as: str = ""
    """Whose eyes it has: two with the same err on the same replies. Empty: its own."""
    passes: float = 0.0
    """Share of the replies that it finds good whatever they are."""
    long_is_good: float = 0.0
    """How much of its grade is the reply's length."""
    likes_first: bool = False
    """Whether it prefers the first of two."""
    silent: float = 0.0
    """Share of the requests that it answers with prose."""


HABITS: Mapping[str, Habit] = {
    "judge": Habit(),
    "judge-twin": Habit(sees_as="judge"),
    "judge-lenient": Habit(passes=0.9),
    "judge-long": Habit(long_is_good=0.7),
    "judge-first": Habit(likes_first=True),
    "judge-silent": Habit(silent=0.3),
}


@dataclass(frozen=True, slots=True)
class DemoJudge:
    """One of `HABITS`, at one request."""

    who: str
    accuracy: float
    """A further share of replies that are seen as they are."""
    draw: Draw
    """A number from 0 to below 1 that follows from what it is drawn for."""

    @property
    def habit(self) -> Habit:
        return HABITS[self.who]

    def verdict(self, asked: str, schema: Mapping[str, Any]) -> str:
        """What it answers.

        Args:
            asked: the request's last message.
            schema: that its answer has to fit; without one there is nothing to judge by.
        """
        shown = {name: text for name, _, text in _PIECE.findall(asked)}
        if not schema or not shown or self.draw("silent", self.who, asked) < self.habit.silent:
            return "I find this hard to put into numbers."
        if "SECOND REPLY" in shown:
            return json.dumps({"reason": "By the words that they have.", "better": self._preferred(shown)})
        quality = self._seen(shown, "REPLY")
        criteria = schema.get("properties", {}).get("criteria", {}).get("properties", {})
        cells = {name: _cell(cell.get("properties", {}), quality) for name, cell in criteria.items()}
        return json.dumps({"criteria": cells})

    def _preferred(self, shown: Mapping[str, str]) -> str:
        first, second = self._seen(shown, "FIRST REPLY"), self._seen(shown, "SECOND REPLY")
        return "first" if self.habit.likes_first or first > second else "second" if second > first else "tie"

    def _seen(self, shown: Mapping[str, str], which: str) -> float:
        """How good it finds a reply, 0 to 1."""
        habit, reply = self.habit, shown[which]
        eyes, quality = habit.sees_as or self.who, _quality(shown, reply)
        if self.draw("judged", eyes, reply) >= habit.accuracy * self.accuracy:
            quality = 1 - quality
        if self.draw("passes", eyes, reply) < habit.passes:
            quality = 1.0
        return (1 - habit.long_is_good) * quality + habit.long_is_good * min(1.0, len(reply) / _LONG)


def _quality(shown: Mapping[str, str], reply: str) -> float:
    said = _words(reply)
    if expected := _words(shown.get("EXPECTED ANSWER", "")):
        return len(expected & said) / len(expected)
    if source := _words(shown.get("SOURCE", "")):
        return len(source & said) / len(said) if said else 0.0
    return min(1.0, max(0.0, _HALF + (len(said & _KIND) - 2 * len(said & _RUDE)) / 4))


def _words(text: str) -> set[str]:
    return set(_WORD.findall(text.lower()))


def _cell(properties: Mapping[str, Any], quality: float) -> dict[str, Any]:
    cell: dict[str, Any] = {"reason": f"The words show a quality of {quality:.2f}."}
    if "grade" in properties:
        grades = properties["grade"]["enum"]
        cell["grade"] = grades[round(quality * (len(grades) - 1))]
    elif "holds" in properties:
        cell["holds"] = quality >= _HALF
    else:
        cell["violations"] = [] if quality >= _HALF else [{"quote": "", "what": "What is wanted is missing."}]
    return cell
