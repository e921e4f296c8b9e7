"""What can be typed in a chat beside questions: one table, from which the help is made, too."""

from __future__ import annotations

import dataclasses
import re
import shlex
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from shutil import get_terminal_size
from textwrap import TextWrapper

from pytest_llmbench.chat import kept
from pytest_llmbench.chat.chatting import Chat
from pytest_llmbench.chat.choosing import named
from pytest_llmbench.chat.conversation import Talk
from pytest_llmbench.chat.exporting import FORMS, export
from pytest_llmbench.chat.figures import HEADS, aligned, rows_of, spent_in
from pytest_llmbench.chat.material import text_or_file
from pytest_llmbench.errors import UsageError, did_you_mean

_COMMAND = re.compile(r"/(?:([A-Za-z?][\w-]*)(?:\s+(.*))?)?\Z", re.DOTALL)
_NONE = "none"
_KEYS = "Alt-Enter begins a new line · Ctrl-C stops an answer · Ctrl-D leaves · //... asks what begins with a slash"


@dataclass(slots=True)
class Desk:
    """What commands work on."""

    chat: Chat
    say: Callable[[str], None]
    """Tells the user something."""
    images: list[str] = dataclasses.field(default_factory=list)
    """Files that go along with the next question."""
    is_over: bool = False
    """Whether the user is leaving."""


@dataclass(frozen=True, slots=True)
class Command:
    """One of them."""

    name: str
    help: str
    act: Callable[[Desk, str], None]
    argument: str = ""
    """What may stand behind it, for the help."""

    @property
    def usage(self) -> str:
        return f"/{self.name} {self.argument}".rstrip()


def is_command(line: str) -> bool:
    """Whether a line is meant for us: one slash and a word, or the slash alone."""
    return _COMMAND.match(line.strip()) is not None


def text_of(line: str) -> str:
    """A question as it was meant: two slashes at its beginning are one."""
    return line.removeprefix("/") if line.startswith("//") else line


def obey(desk: Desk, line: str) -> None:
    """Do what a command says.

    Raises:
        UsageError: there is no such command, or it cannot do that.
        InfraError: a file or the database is at fault.
    """
    found = _COMMAND.match(line.strip())
    word, argument = ((found[1] or "help").lower(), (found[2] or "").strip()) if found else ("", "")
    command = BY_NAME.get(_OTHER_NAMES.get(word, word))
    if command is None:
        raise UsageError(
            f"there is no command /{word}{did_you_mean(word, BY_NAME)}",
            hint="/help lists them; a question that begins with a slash is written with two",
        )
    command.act(desk, argument)


def _help(desk: Desk, _: str) -> None:
    widest = max(len(command.usage) for command in COMMANDS)
    lines = TextWrapper(get_terminal_size().columns, subsequent_indent=" " * (widest + 2))
    for command in COMMANDS:
        desk.say(lines.fill(f"{command.usage.ljust(widest)}  {command.help}"))
    desk.say(TextWrapper(lines.width).fill(_KEYS))


def _model(desk: Desk, argument: str) -> None:
    if argument:
        if not (names := named(argument)):
            raise UsageError("no model is named", hint="/model demo/facts, or several: /model demo/facts,demo/echo")
        desk.chat.talk_to(names)
    desk.say(f"talking to {', '.join(desk.chat.conversation.models)}")


def _system(desk: Desk, argument: str) -> None:
    if argument:
        text = "" if argument == _NONE else text_or_file(argument)
        desk.chat.change(lambda before: dataclasses.replace(before, system=text))
    desk.say(f"system prompt: {desk.chat.conversation.system or _NONE}")


def _retry(desk: Desk, _: str) -> None:
    desk.chat.ask_again()


def _undo(desk: Desk, _: str) -> None:
    desk.chat.conversation.check_has_question()
    last = next(talk.turns[-1].question for talk in desk.chat.conversation.talks if talk.turns)
    desk.chat.change(lambda before: before.changed(Talk.undone))
    desk.say(f"taken back: {_short(last)}")


def _clear(desk: Desk, _: str) -> None:
    desk.chat.change(lambda before: before.changed(lambda talk: Talk(talk.model)))
    desk.say("nothing was said yet: the conversation begins anew")


def _stats(desk: Desk, _: str) -> None:
    run = desk.chat.run()
    rows = rows_of(run) if run is not None else []
    for line in aligned(HEADS, rows, get_terminal_size().columns) if rows else ("nothing was asked yet",):
        desk.say(line)


def _cost(desk: Desk, _: str) -> None:
    run = desk.chat.run()
    spent = spent_in(run) if run is not None else ""
    left_usd = desk.chat.left_usd
    desk.say(f"spent: {spent or 'nothing'}{f'; left of the budget: ${left_usd}' if left_usd else ''}")


def _save(desk: Desk, argument: str) -> None:
    name = kept.checked_name(argument or desk.chat.conversation.name)
    kept.check_free(desk.chat.session.folder, name, desk.chat.session.run_id)
    desk.chat.change(lambda before: dataclasses.replace(before, name=name))
    desk.say(f"saved as {name}: `llmbench chat --session {shlex.quote(name)}` goes on with it")


def _export(desk: Desk, argument: str) -> None:
    if not argument:
        raise UsageError("the file is missing", hint=f"/export talk.md; the ending tells the form: {', '.join(FORMS)}")
    path = export(_path(argument), desk.chat.session.run_id, desk.chat.conversation)
    desk.say(f"written: {path}")


def _image(desk: Desk, argument: str) -> None:
    if argument:
        from pytest_llmbench.datasets.media import part_of  # noqa: PLC0415 - few questions show pictures

        part_of(_path(argument))
        desk.images.append(str(_path(argument)))
    desk.say(f"with the next question: {', '.join(desk.images) or 'no file'}")


def _path(argument: str) -> Path:
    """A file as it is called, or as shells and file managers write that: in quotes, a backslash before a space."""
    as_typed = Path(argument).expanduser()
    if as_typed.exists() or not set(argument) & set("\"'\\"):
        return as_typed
    try:
        words = shlex.split(argument)
    except ValueError:  # a quote without its other half
        return as_typed
    return Path(words[0]).expanduser() if len(words) == 1 else as_typed


def _quit(desk: Desk, _: str) -> None:
    desk.is_over = True


def _short(text: str, most: int = 60) -> str:
    line = " ".join(text.split())
    return line if len(line) <= most else f"{line[:most]}..."


COMMANDS: tuple[Command, ...] = (
    Command("help", "these lines", _help),
    Command("model", "talk to these models, comma separated; what was said goes along", _model, "[M[,M2]]"),
    Command("system", "show or change the system prompt; @FILE reads it, none takes it away", _system, "[TEXT]"),
    Command("retry", "ask the last question again: who did not answer it, else all", _retry),
    Command("undo", "take the last question back, and its answer", _undo),
    Command("clear", "begin anew, with the same models and system prompt", _clear),
    Command("image", "send a picture, sound or PDF along with the next question", _image, "FILE"),
    Command("stats", "answers, tokens, times, costs, retries and failures of this chat, by model", _stats),
    Command("cost", "what this chat has cost, and what is left of its budget", _cost),
    Command("save", "give the chat a name, under which --session finds it", _save, "[NAME]"),
    Command("export", "write the chat: .md to read, .json whole, .jsonl for datasets and query logs", _export, "FILE"),
    Command("quit", "leave, as Ctrl-D does", _quit),
)
BY_NAME = {command.name: command for command in COMMANDS}
_OTHER_NAMES = {"exit": "quit", "bye": "quit", "q": "quit", "?": "help", "h": "help", "models": "model"}
