"""A chat on a terminal: questions with line editing and history, commands, answers as they come."""

from __future__ import annotations

import shlex
from collections.abc import Sequence

from prompt_toolkit import PromptSession
from prompt_toolkit.application import get_app
from prompt_toolkit.completion import WordCompleter
from prompt_toolkit.filters import Condition
from prompt_toolkit.history import History
from prompt_toolkit.key_binding import KeyBindings, KeyPressEvent

from pytest_llmbench.chat.chatting import Chat
from pytest_llmbench.chat.commands import COMMANDS, Desk, is_command, obey, text_of
from pytest_llmbench.chat.figures import spent_in
from pytest_llmbench.chat.ink import Inks
from pytest_llmbench.chat.material import question_of
from pytest_llmbench.display import terminal_safe
from pytest_llmbench.errors import LlmbenchError

_PROMPT = "> "
_SHOWN = 600
"""Characters of what was said last, where a conversation goes on."""


def converse(chat: Chat, inks: Inks, typed_before: History, *, first: str = "", images: Sequence[str] = ()) -> None:
    """Have the conversation, until the user leaves.

    Args:
        chat: with whom.
        inks: where to.
        typed_before: for the arrow keys.
        first: a question that was asked on the command line; empty for none.
        images: files that go along with the first question.
    """
    desk = Desk(chat, lambda text: inks.notes.line(text, dim=True), list(images))
    _greet(chat, inks)
    prompt: PromptSession[str] = PromptSession(
        history=typed_before,
        key_bindings=_keys(),
        completer=_completer(),
        complete_while_typing=False,
        enable_suspend=True,
    )
    if first:
        _take(desk, inks, first)
    while not desk.is_over:
        try:
            line = prompt.prompt(_PROMPT, prompt_continuation="  ")
        except KeyboardInterrupt:  # what was typed is thrown away, nothing else
            if not prompt.default_buffer.text:
                desk.say("Ctrl-D leaves")
            continue
        except EOFError:
            break
        _take(desk, inks, line)
    _take_leave(chat, desk)


def _take(desk: Desk, inks: Inks, line: str) -> None:
    """Do what a line says, or ask it; a failure does not end the chat."""
    try:
        if not line.strip():
            return
        if is_command(line):
            obey(desk, line)
            return
        content = question_of(text_of(line), "", desk.images)
        desk.images.clear()
        desk.chat.ask(content)
    except LlmbenchError as error:
        inks.notes.line(f"error: {terminal_safe(str(error))}")
    except KeyboardInterrupt:
        inks.notes.line("stopped", dim=True)


def _greet(chat: Chat, inks: Inks) -> None:
    before = sum(turn.counts for talk in chat.conversation.talks[:1] for turn in talk.turns)
    gone_on = f" · {before} {'answer' if before == 1 else 'answers'} so far" if before else ""
    names = ", ".join(chat.conversation.models)
    inks.notes.line(f"{names}{gone_on} · /help lists commands, Ctrl-D leaves", dim=True)
    for talk in chat.conversation.talks[:1]:
        for turn in talk.turns[-1:]:
            inks.notes.line(f"{_PROMPT}{_begun(turn.question)}", dim=True)
            inks.notes.line(_begun(turn.said) or "not answered: /retry asks again", dim=True)


def _begun(text: str) -> str:
    """The beginning of a text that may be a whole book."""
    return text if len(text) <= _SHOWN else f"{text[:_SHOWN].rstrip()}... ({len(text):,} characters)"


def _take_leave(chat: Chat, desk: Desk) -> None:
    """Where the chat is, and what it has cost."""
    if not chat.session.has_store:
        return
    run = chat.run()
    spent = spent_in(run) if run is not None else ""
    name = shlex.quote(chat.conversation.name or chat.session.run_id)
    desk.say(f"{f'spent: {spent} · ' if spent else ''}`llmbench chat --session {name}` goes on")


def _completer() -> WordCompleter:
    return WordCompleter([f"/{command.name}" for command in COMMANDS], sentence=True)


def _keys() -> KeyBindings:
    keys = KeyBindings()

    @keys.add("escape", "enter")
    def _new_line(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text("\n")

    @keys.add("tab", filter=Condition(lambda: not get_app().current_buffer.text.startswith("/")))
    def _tab(event: KeyPressEvent) -> None:
        event.current_buffer.insert_text("    ")

    return keys
