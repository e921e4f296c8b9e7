"""`llmbench chat`: models asked by hand."""

from __future__ import annotations

import argparse
import dataclasses
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from pytest_llmbench.chat import kept
from pytest_llmbench.chat.chatting import opened
from pytest_llmbench.chat.choosing import named, usual
from pytest_llmbench.chat.conversation import Content, Conversation
from pytest_llmbench.chat.ink import Inks
from pytest_llmbench.chat.layout import live
from pytest_llmbench.chat.material import question_of, read_text, text_or_file
from pytest_llmbench.chat.once import Records, Whole, status_of
from pytest_llmbench.chat.showing import AGAIN, Shows
from pytest_llmbench.chat.speaking import Manner
from pytest_llmbench.cli import project, screen
from pytest_llmbench.config import Resolved
from pytest_llmbench.errors import ExitCode, UsageError

_HEADS = ("name", "id", "began", "used", "models", "questions")


def chat(arguments: argparse.Namespace) -> int:
    """Ask once, or have a conversation; returns 0 where all models answered.

    Raises:
        UsageError: there is nothing to ask, or nobody who could be asked.
    """
    resolved = project.resolved(arguments)
    if arguments.list:
        return _list(resolved, as_json=arguments.json)
    if arguments.forgotten:
        return _forget(resolved, arguments.forgotten)
    _check(arguments)
    inks = Inks.of_process()
    words, is_typed = " ".join(arguments.prompt), sys.stdin is not None and sys.stdin.isatty()
    if arguments.interactive or (is_typed and inks.answers.is_terminal and not (words or arguments.image)):
        return _converse(arguments, resolved, inks, words)
    piped = read_text(sys.stdin.buffer, "standard input") if sys.stdin is not None and not is_typed else ""
    return _ask(arguments, resolved, inks, question_of(words, piped, arguments.image))


def _ask(arguments: argparse.Namespace, resolved: Resolved, inks: Inks, content: Content) -> int:
    """One question."""
    manner, shows = _manner(arguments), _shows_once(arguments, inks)
    with (
        _conversation(arguments, resolved, inks) as (going_on, conversation),
        opened(resolved, conversation, manner, shows, inks.say, going_on=going_on) as room,
    ):
        return status_of(room.ask(content))


def _converse(arguments: argparse.Namespace, resolved: Resolved, inks: Inks, words: str) -> int:
    """A conversation; whatever fails in it is told there."""
    from pytest_llmbench.chat.history import history  # noqa: PLC0415 - prompt_toolkit loads with it
    from pytest_llmbench.chat.interactive import converse  # noqa: PLC0415 - as above

    typed_before = history(is_kept=resolved.settings.keep_prompts and not arguments.no_history)
    shows = live(inks, AGAIN)

    with (
        _conversation(arguments, resolved, inks) as (going_on, conversation),
        opened(resolved, conversation, _manner(arguments), shows, inks.say, going_on=going_on) as room,
    ):
        converse(room, inks, typed_before, first=words, images=arguments.image)
    return ExitCode.OK


def _check(arguments: argparse.Namespace) -> None:
    """See that the words agree with each other, and with where they were typed."""
    both = [("--stream", arguments.stream), ("--no-stream", arguments.no_stream), ("--json", arguments.json)]
    if sum(given for _, given in both) > 1 and arguments.stream:
        other = "--no-stream" if arguments.no_stream else "--json"
        raise UsageError(f"--stream and {other} exclude each other", hint="leave one of them out")
    if arguments.session and arguments.going_on:
        raise UsageError("--session and --continue exclude each other", hint="--continue is `--session last`")
    if arguments.interactive and (arguments.json or not (sys.stdin and sys.stdin.isatty() and sys.stdout.isatty())):
        raise UsageError("a conversation needs a terminal, and prints no JSON", hint="ask once: without --interactive")


@contextmanager
def _conversation(arguments: argparse.Namespace, resolved: Resolved, inks: Inks) -> Iterator[tuple[str, Conversation]]:
    """The id of the chat that goes on, empty for a new one, and how it stands, with what was typed; ours till the end.

    Raises:
        UsageError: another process has it open.
    """
    with _before(arguments, resolved) as (going_on, conversation):
        yield going_on, _as_typed(arguments, resolved, inks, conversation)


def _as_typed(
    arguments: argparse.Namespace, resolved: Resolved, inks: Inks, conversation: Conversation
) -> Conversation:
    if arguments.system is not None:
        conversation = dataclasses.replace(conversation, system=text_or_file(arguments.system))
    names = named(arguments.model) or conversation.models
    if not names:
        chosen = usual(resolved)
        names = chosen.models
        inks.say(f"talking to {', '.join(names)}: {chosen.why}")
    return conversation.with_models(names)


@contextmanager
def _before(arguments: argparse.Namespace, resolved: Resolved) -> Iterator[tuple[str, Conversation]]:
    wanted = kept.LAST if arguments.going_on else arguments.session
    if not wanted:
        yield "", Conversation()
    elif wanted != kept.LAST and kept.find(resolved.results_dir, wanted) is None:
        yield "", Conversation(name=kept.checked_name(wanted))
    else:
        run_id = kept.existing(resolved.results_dir, wanted).run_id
        with kept.held(resolved.results_dir, run_id):  # and read once more: nobody changes it from here on
            yield run_id, kept.reopened(kept.existing(resolved.results_dir, run_id))


def _manner(arguments: argparse.Namespace) -> Manner:
    return Manner(arguments.max_tokens, arguments.temperature, arguments.seed, stream=not arguments.no_stream)


def _shows_once(arguments: argparse.Namespace, inks: Inks) -> Shows:
    """As it comes where somebody watches, else whole."""
    if arguments.json:
        return lambda names, run_id: Records(inks, names, run_id)
    if arguments.stream or (inks.answers.is_terminal and not arguments.no_stream):
        return live(inks)
    return lambda names, _: Whole(inks, names)


def _list(resolved: Resolved, *, as_json: bool) -> int:
    chats = kept.listed(resolved.results_dir)
    told: list[dict[str, Any]] = [
        {
            "name": each.conversation.name,
            "id": each.run_id,
            "began": each.started_at,
            "used": each.used_at,
            "models": list(each.conversation.models),
            "questions": max((len(talk.turns) for talk in each.conversation.talks), default=0),
        }
        for each in chats
    ]
    if as_json:
        screen.show_json(told)
        return ExitCode.OK
    rows = [
        (each["name"] or "–", each["id"], *moments, ", ".join(each["models"]), str(each["questions"]))
        for each in told
        for moments in [[each[name][:16].replace("T", " ") for name in ("began", "used")]]
    ]
    screen.show_table(_HEADS, rows) if rows else screen.show_line("no chat is kept yet")
    return ExitCode.OK


def _forget(resolved: Resolved, wanted: str) -> int:
    gone = kept.forget(resolved.results_dir, wanted)
    screen.show_line(f"removed: {gone.conversation.name or gone.run_id}")
    return ExitCode.OK
