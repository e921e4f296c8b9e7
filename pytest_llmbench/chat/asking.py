"""Several models asked at once: their answers as events in one queue, in the order in which they come."""

from __future__ import annotations

import threading
from collections.abc import Sequence
from dataclasses import dataclass
from queue import Empty, SimpleQueue

from pytest_llmbench import clock, http
from pytest_llmbench.chat.conversation import Message, State
from pytest_llmbench.chat.speaking import Asked, Manner, Speaker
from pytest_llmbench.clients.wire import Thought
from pytest_llmbench.errors import Category, InfraError, LlmbenchError
from pytest_llmbench.records import Reply

STOP_GRACE_S = 5.0
"""How long what was stopped may take to end."""


@dataclass(frozen=True, slots=True)
class Answer:
    """What came of a question to one model."""

    model: str
    reply: Reply | None = None
    error: LlmbenchError | None = None
    """Why there is no reply."""
    text: str = ""
    """What had come of an answer that is none."""

    @property
    def state(self) -> State:
        """Answered, cut by the user, or failed."""
        if self.reply is not None:
            return State.ANSWERED
        is_cut = isinstance(self.error, InfraError) and self.error.category is Category.CANCELLED
        return State.CUT if is_cut else State.FAILED


@dataclass(frozen=True, slots=True)
class Piece:
    """Some of an answer's text, or of its reasoning."""

    who: int
    """Which of the models."""
    text: str
    is_thought: bool = False


@dataclass(frozen=True, slots=True)
class Waiting:
    """What a model is waiting for."""

    who: int
    text: str


@dataclass(frozen=True, slots=True)
class Restart:
    """What was shown of an answer is none: another model of a route is asked."""

    who: int
    text: str
    """Why, and who is asked now."""


@dataclass(frozen=True, slots=True)
class Done:
    """An answer is complete, or will not be."""

    who: int
    answer: Answer


Event = Piece | Waiting | Restart | Done


class Asking:
    """One question to several models, each in a thread of its own; begun when it is made.

    Args:
        speakers: whom.
        talks: the messages to each.
        manner: how.
        live: whether pieces are wanted as they come: what was shown of an answer cannot be taken back, so that one
            which breaks off is not tried again by itself.
        anew: whether no reply of the response cache will do.
    """

    def __init__(
        self,
        speakers: Sequence[Speaker],
        talks: Sequence[Sequence[Message]],
        manner: Manner,
        *,
        live: bool,
        anew: bool = False,
    ) -> None:
        self._events: SimpleQueue[Event] = SimpleQueue()
        self._speakers = speakers
        self._anew = anew
        self._answers: dict[int, Answer] = {}
        self._texts: list[list[str]] = [[] for _ in speakers]
        self._stops = [http.Stop() for _ in speakers]
        self._open = set(range(len(speakers)))
        for who, messages in enumerate(talks):
            work = (who, messages, manner, live)
            threading.Thread(target=self._ask, args=work, name=f"llmbench-chat-{who}", daemon=True).start()

    @property
    def is_over(self) -> bool:
        """Whether every answer was handed out as done."""
        return not self._open

    def next(self, timeout_s: float) -> Event | None:
        """The next event; None where none came in time."""
        try:
            event = self._events.get(timeout=timeout_s)
        except Empty:
            return None
        if isinstance(event, Done):
            self._open.discard(event.who)
        return event

    def stop(self) -> list[Event]:
        """Break off what is under way; what had come stays said.

        Returns:
            The events that were left, the last ones among them.
        """
        for stop in self._stops:
            stop()
        events: list[Event] = []
        until = clock.monotonic() + STOP_GRACE_S
        while self._open and (left_s := until - clock.monotonic()) > 0:
            if (event := self.next(left_s)) is not None:
                events.append(event)
        late = sorted(self._open)
        self._open.clear()
        return [*events, *(Done(who, self.answer(who)) for who in late)]

    def answer(self, who: int) -> Answer:
        """What came of the question to one of the models, whether or not it was handed out; cut where nothing did."""
        return self._answers.get(who) or self._given_up(who)

    def _ask(self, who: int, messages: Sequence[Message], manner: Manner, live: bool) -> None:
        speaker = self._speakers[who]
        asked = Asked(
            messages,
            manner,
            self._stops[who],
            hear=(lambda piece: self._hear(who, piece)) if live else None,
            tell=lambda text: self._events.put(Waiting(who, text)),
            restart=lambda text: self._restart(who, text),
            anew=self._anew,
        )
        try:
            answer = Answer(speaker.name, speaker.answer(asked))
        except LlmbenchError as error:
            answer = Answer(speaker.name, error=error, text=self._said(who) or getattr(error, "partial_text", ""))
        except BaseException as error:  # noqa: BLE001 - a thread of ours: nobody else would hear of it
            fault = InfraError(f"{type(error).__name__}: {error}", category=Category.INTERNAL)
            answer = Answer(speaker.name, error=fault, text=self._said(who))
        self._answers[who] = answer
        self._events.put(Done(who, answer))

    def _hear(self, who: int, piece: str) -> None:
        is_thought = isinstance(piece, Thought)
        if not is_thought:
            self._texts[who].append(piece)
        self._events.put(Piece(who, piece, is_thought))

    def _restart(self, who: int, text: str) -> None:
        self._texts[who].clear()
        self._events.put(Restart(who, text))

    def _said(self, who: int) -> str:
        return "".join(self._texts[who])

    def _given_up(self, who: int) -> Answer:
        error = InfraError("stopped before it was complete", category=Category.CANCELLED)
        return Answer(self._speakers[who].name, error=error, text=self._said(who))
