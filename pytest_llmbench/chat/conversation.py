"""What was said with each model, and what of it is sent with the next question. Nothing here asks or shows anything."""

from __future__ import annotations

import dataclasses
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from pytest_llmbench import clock
from pytest_llmbench.errors import UsageError
from pytest_llmbench.records import Record, Reply, ToolCall

Content = str | Sequence[Mapping[str, Any]]
"""What a user says: a text, or the parts of a message."""
Message = dict[str, Any]

THOUGHT_TAG = re.compile(r"\s*<(think|thinking|thought|reasoning)>", re.IGNORECASE)
"""What the text of a model begins with that writes its reasoning into its answer."""


class State(StrEnum):
    """How far a turn is."""

    OPEN = "open"
    """Asked, and not answered yet."""
    ANSWERED = "answered"
    CUT = "cut"
    """Ended by the user: what had come of the answer is what was said."""
    FAILED = "failed"


@dataclass(frozen=True, slots=True)
class Turn(Record):
    """A question and what became of it."""

    asked: Any
    """A text, or the parts of a message."""
    state: str = State.OPEN
    text: str = ""
    """The answer as it came; of one that was cut or broke off, what had come."""
    reasoning: str = ""
    model: str = ""
    """Who answered: a conversation may go on with another model."""
    served_model: str = ""
    tool_calls: Sequence[ToolCall] = ()
    error: str = ""
    """Why there is no answer."""
    reply_id: str = ""
    at: str = ""
    """When it was asked; ISO 8601, UTC."""
    ended_at: str = ""
    """When the answer was complete, or there was none; ISO 8601, UTC."""

    @property
    def question(self) -> str:
        """The text of what was asked."""
        if isinstance(self.asked, str):
            return self.asked
        return "\n\n".join(str(part["text"]) for part in self.asked if part.get("type") == "text")

    @property
    def said(self) -> str:
        """What the model said, its reasoning left out; the tools it called where it said nothing else."""
        text = spoken(self.text).strip()
        return text or "\n".join(f"[called {call.name}({call.arguments})]" for call in self.tool_calls)

    @property
    def counts(self) -> bool:
        """Whether the model is to be told of it with the next question."""
        return self.state in {State.ANSWERED, State.CUT} and bool(self.said)


@dataclass(frozen=True, slots=True)
class Talk(Record):
    """The conversation with one model."""

    model: str
    turns: tuple[Turn, ...] = ()

    def asking(self, content: Content) -> Talk:
        """With another question."""
        return dataclasses.replace(self, turns=(*self.turns, Turn(content, at=clock.now().isoformat())))

    def asking_again(self) -> Talk:
        """With its last question open again; without one it stays as it is."""
        return self.asking_last(lambda turn: Turn(turn.asked, at=clock.now().isoformat()))

    def asking_last(self, change: Callable[[Turn], Turn]) -> Talk:
        """With its last turn changed; without one it stays as it is."""
        return dataclasses.replace(self, turns=(*self.turns[:-1], *map(change, self.turns[-1:])))

    def answered(self, reply: Reply) -> Talk:
        """With an answer to its last question."""
        return self.asking_last(
            lambda turn: dataclasses.replace(
                turn,
                state=State.ANSWERED,
                text=reply.text,
                reasoning=reply.reasoning,
                model=reply.model,
                served_model=reply.served_model,
                tool_calls=tuple(reply.tool_calls),
                reply_id=reply.id,
                ended_at=clock.now().isoformat(),
            )
        )

    def ended(self, state: State, text: str, error: str = "") -> Talk:
        """With its last question cut or failed, and what had come of the answer."""
        return self.asking_last(
            lambda turn: dataclasses.replace(
                turn, state=state, text=text, model=self.model, error=error, ended_at=clock.now().isoformat()
            )
        )

    def undone(self) -> Talk:
        """Without its last question."""
        return dataclasses.replace(self, turns=self.turns[:-1])

    def messages(self, system: str = "") -> list[Message]:
        """What is sent with its last question: that, and all before it that was answered."""
        begun: list[Message] = [{"role": "system", "content": system}] if system else []
        for turn in self.turns[:-1]:
            if turn.counts:
                begun += (_user(turn), {"role": "assistant", "content": turn.said})
        return [*begun, *map(_user, self.turns[-1:])]


@dataclass(frozen=True, slots=True)
class Conversation(Record):
    """One session of chatting: with one model, or with several side by side."""

    name: str = ""
    """What the user calls it; empty where it was not saved under a name."""
    system: str = ""
    talks: tuple[Talk, ...] = ()
    openings: int = 1
    """How many times it was begun or gone on with."""
    has_texts: bool = True
    """False: what was said was not kept."""
    last_at: str = ""
    """When something was asked last, where what was said was not kept; ISO 8601, UTC."""

    @property
    def models(self) -> tuple[str, ...]:
        """Who is asked, in the order in which their answers are shown."""
        return tuple(talk.model for talk in self.talks)

    def changed(self, change: Callable[[Talk], Talk]) -> Conversation:
        """With every talk changed."""
        return dataclasses.replace(self, talks=tuple(map(change, self.talks)))

    def with_models(self, names: Sequence[str]) -> Conversation:
        """With these models in place of those before: who stays keeps its talk, who is new takes over the first one."""
        known = {talk.model: talk for talk in self.talks}
        first = self.talks[0] if self.talks else Talk("")
        talks = (known.get(name) or dataclasses.replace(first, model=name) for name in dict.fromkeys(names))
        return dataclasses.replace(self, talks=tuple(talks))

    @property
    def used_at(self) -> str:
        """When something was asked last; ISO 8601, UTC; empty: nothing was."""
        return max((turn.at for talk in self.talks for turn in talk.turns), default=self.last_at)

    def check_has_question(self) -> None:
        """See that something was asked.

        Raises:
            UsageError: nothing was.
        """
        if not any(talk.turns for talk in self.talks):
            raise UsageError("nothing was asked yet")

    def without_texts(self) -> Conversation:
        """What may be kept where texts may not."""
        bare = tuple(Talk(talk.model) for talk in self.talks)
        return dataclasses.replace(self, system="", talks=bare, has_texts=False, last_at=self.used_at)


def spoken(text: str) -> str:
    """An answer without the reasoning that it begins with, where a model writes that into its text."""
    tag = THOUGHT_TAG.match(text)
    if tag is None:
        return text
    _, closing, rest = text[tag.end() :].partition(f"</{tag[1]}>")
    return rest if closing else ""


def _user(turn: Turn) -> Message:
    asked = turn.asked if isinstance(turn.asked, str) else [dict(part) for part in turn.asked]
    return {"role": "user", "content": asked}
