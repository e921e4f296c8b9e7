"""A chat: who is talked to, what was said, and every question asked, kept and shown."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from typing import TYPE_CHECKING

from pytest_llmbench import clock
from pytest_llmbench.ab.own_run import own_session
from pytest_llmbench.asker.caps import caps_of
from pytest_llmbench.chat import kept
from pytest_llmbench.chat.asking import Answer, Asking, Done, Event
from pytest_llmbench.chat.conversation import Content, Conversation, State, Talk
from pytest_llmbench.chat.showing import Showing, Shows
from pytest_llmbench.chat.speakers import speaker_of
from pytest_llmbench.chat.speaking import Manner, Speaker
from pytest_llmbench.config import Resolved
from pytest_llmbench.config.route_schema import is_route
from pytest_llmbench.contexts import TestContext
from pytest_llmbench.errors import ExitCode

if TYPE_CHECKING:
    from pytest_llmbench.asker.question import ModelStatus
    from pytest_llmbench.records import Run
    from pytest_llmbench.session import Session

BOUNDED_TOKENS = 1024
"""The longest answer where a budget wants one and nobody chose."""
_LOOK_S = 0.2
"""How often is looked whether something is to be told of a wait."""


class Chat:
    """One session of chatting. Belongs to the main thread.

    Args:
        session: this process's.
        conversation: what was said before, and with whom.
        manner: how models are asked.
        shows: makes what shows the answers to one question.
    """

    def __init__(
        self,
        session: Session,
        conversation: Conversation,
        manner: Manner,
        shows: Shows,
    ) -> None:
        self.session = session
        self.conversation = conversation
        self.manner = _bounded(manner, session)
        self._shows = shows
        self._speakers: dict[str, Speaker] = {}
        self._told: set[str] = set()
        self._broken: Counter[str] = Counter()
        """Calls of each model that failed before this question."""
        self.holds = ExitStack()
        """What ends with the chat."""
        session.context = TestContext(nodeid=kept.RUN_NODE, key=f"{kept.RUN_NODE}#{conversation.openings}")
        self.talk_to(conversation.models)

    def talk_to(self, names: Sequence[str]) -> None:
        """Go on with these models.

        Raises:
            UsageError: nobody knows one of them, or its key is missing; then all stays as it was.
            ModelFileError: its file cannot be had.
        """
        self._speakers = {name: self._speakers.get(name) or speaker_of(self.session, name) for name in names}
        self.change(lambda before: before.with_models(names))

    def ask(self, content: Content) -> list[Answer]:
        """Put a question to all models, and show what they answer.

        Ctrl-C breaks the answers off; what had come of them is kept as said.
        """
        self.conversation = self.conversation.changed(lambda talk: talk.asking(content))
        return self._answered(self.conversation.models)

    def ask_again(self) -> list[Answer]:
        """Ask the last question once more: those models that did not answer it, or all where all did.

        Raises:
            UsageError: nothing was asked yet.
        """
        self.conversation.check_has_question()
        failed = [talk.model for talk in self.conversation.talks if talk.turns[-1].state != State.ANSWERED]
        names = failed or self.conversation.models
        self.conversation = self.conversation.changed(lambda talk: talk.asking_again() if talk.model in names else talk)
        return self._answered(names, anew=True)

    def change(self, change: Callable[[Conversation], Conversation]) -> None:
        """Change what was said, the system prompt or the name, and keep that where anything is kept already."""
        self.conversation = change(self.conversation)
        if self.session.has_store:
            self.keep()

    def keep(self) -> None:
        """Store how the conversation stands."""
        if not (self.session.has_store or self.session.identity.resuming):  # from here on others can find it
            self.holds.enter_context(kept.held(self.session.folder, self.session.run_id))
        keeps = self.session.settings.keep_prompts
        shown = self.conversation if keeps else self.conversation.without_texts()
        kept.save(self.session.store, self.session.run_id, shown)

    def run(self) -> Run | None:
        """All calls of the chat, those of earlier openings among them; None where nothing was asked."""
        if not (self.session.has_store or self.session.identity.resuming):
            return None
        return self.session.store.load_run(self.session.run_id)

    @property
    def left_usd(self) -> str:
        """What is left of the budget, as decimal text; empty where there is none, or nothing was asked yet."""
        asker = self.session.__dict__.get("asker")
        return asker.status().budget_left_usd if asker is not None else ""

    def _answered(self, names: Sequence[str], *, anew: bool = False) -> list[Answer]:
        """Ask, show and keep; what came is kept also where it cannot be shown."""
        self.keep()
        talks = {talk.model: talk for talk in self.conversation.talks}
        speakers = [self._speakers[name] for name in names]
        answers: list[Answer] = []
        try:
            self._shown(speakers, [talks[name] for name in names], answers, anew=anew)
        finally:
            if any(speaker.is_local for speaker in speakers):
                self.session.machine.release()
            by_name = dict(zip(names, answers, strict=False))  # none where nothing could be asked
            self.change(lambda before: before.changed(lambda talk: _with_answer(talk, by_name.get(talk.model))))
        self._tell_others(talks, by_name)
        self._tell_notes()
        return answers

    def _shown(self, speakers: Sequence[Speaker], talks: Sequence[Talk], answers: list[Answer], *, anew: bool) -> None:
        self._prepare(speakers)
        messages = [talk.messages(self.conversation.system) for talk in talks]
        showing = self._shows([speaker.name for speaker in speakers], self.session.run_id)
        asking = Asking(speakers, messages, self.manner, live=showing.live, anew=anew)
        try:
            self._show(asking, showing, len(speakers))
        finally:
            if not asking.is_over:  # nobody can be shown the rest
                asking.stop()
            answers += map(asking.answer, range(len(speakers)))

    def _show(self, asking: Asking, showing: Showing, count: int) -> None:
        shown: set[int] = set()

        def show(event: Event) -> None:
            showing.show(event)
            if isinstance(event, Done):
                shown.add(event.who)

        try:
            self._follow(asking, show, showing)
        except KeyboardInterrupt:
            for event in asking.stop():
                show(event)
            for who in {*range(count)} - shown:  # Ctrl-C came before it was shown
                show(Done(who, asking.answer(who)))
        finally:
            showing.end()

    def _follow(self, asking: Asking, show: Callable[[Event], None], showing: Showing) -> None:
        heard_at = clock.monotonic()
        while not asking.is_over:
            event = asking.next(_LOOK_S)
            if event is None:
                showing.waits(clock.monotonic() - heard_at, self._held_up())
                continue
            heard_at = clock.monotonic()
            show(event)

    def _prepare(self, speakers: Sequence[Speaker]) -> None:
        """What threads share is made before there are any; models of this machine share it with other sessions."""
        _ = self.session.observer, self.session.cache
        routes = any(is_route(speaker.name) for speaker in speakers)
        if routes or not all(speaker.is_local for speaker in speakers):
            _ = self.session.asker
        self._broken = Counter({each.model: each.broken for each in self._lanes()})
        if routes:
            _ = self.session.routing.knowledge
        if any(speaker.is_local for speaker in speakers):
            _ = self.session.supervisor
            limit_s = self.session.settings.lock_timeout_s
            self.session.machine.acquire(exclusive=False, timeout_s=limit_s, on_wait=self.session.say)

    def _held_up(self) -> Mapping[str, str]:
        """Model → what holds it up, as far as the asker knows."""
        told = {each.model: each.state or _failures(each.broken - self._broken[each.model]) for each in self._lanes()}
        return {model: words for model, words in told.items() if words}

    def _lanes(self) -> Sequence[ModelStatus]:
        return self.session.asker.status().models if "asker" in self.session.__dict__ else ()

    def _tell_others(self, talks: Mapping[str, Talk], answers: Mapping[str, Answer]) -> None:
        """Tell where a provider has another model answer than before, under the same name."""
        for name, answer in answers.items():
            reply = answer.reply
            if reply is None or not reply.served_model:
                continue
            known = (turn.served_model for turn in reversed(talks[name].turns) if turn.model == reply.model)
            before = next(filter(None, known), reply.served_model)
            if before != reply.served_model:
                self.session.say(f"{reply.model}: {reply.served_model} answered, before it was {before}")

    def _tell_notes(self) -> None:
        """What was changed in requests because a model does not take it, each once."""
        asker = self.session.__dict__.get("asker")
        for note in getattr(asker, "notes", ()):
            if note not in self._told:
                self._told.add(note)
                self.session.say(note)


@contextmanager
def opened(
    resolved: Resolved,
    conversation: Conversation,
    manner: Manner,
    shows: Shows,
    say: Callable[[str], None],
    *,
    going_on: str = "",
) -> Iterator[Chat]:
    """A chat, closed with all its servers gone.

    Args:
        resolved: settings and configuration.
        conversation: with whom, and what was said before.
        manner: how models are asked.
        shows: makes what shows the answers to one question.
        say: tells the user what is no answer.
        going_on: the id of the chat that goes on; empty for a new one.
    """
    command = ("llmbench", "chat")  # not as typed: the words may be the prompt, and that may not be kept
    with own_session(resolved, command, say, database=kept.DATABASE, process_name="chat", going_on=going_on) as session:
        try:
            room = Chat(session, conversation, manner, shows)
            with room.holds:
                yield room
        finally:
            if session.has_store:
                session.store.finish_run(session.run_id, ExitCode.OK)


def _with_answer(talk: Talk, answer: Answer | None) -> Talk:
    if answer is None:
        return talk
    if answer.reply is not None:
        return talk.answered(answer.reply)
    return talk.ended(answer.state, answer.text, getattr(answer.error, "message", ""))


def _failures(count: int) -> str:
    """How often a question failed so far, in words; empty where it did not."""
    return f"failed {'once' if count == 1 else f'{count} times'}, asked again" if count else ""


def _bounded(manner: Manner, session: Session) -> Manner:
    """With a longest answer where a budget has to know what a call can cost."""
    if manner.max_tokens is not None or not caps_of(session.resolved):
        return manner
    session.say(f"answers have {BOUNDED_TOKENS} tokens at most, because of the budget; --max-tokens chooses")
    return dataclasses.replace(manner, max_tokens=BOUNDED_TOKENS)
