"""A chat as a file: Markdown to read, JSON with everything, JSONL for use cases and query logs."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import Any
from urllib.parse import quote

from pytest_llmbench.chat.conversation import Conversation, State, Talk, Turn, spoken
from pytest_llmbench.chat.kept import RUN_NODE
from pytest_llmbench.chat.speaking import ROLE
from pytest_llmbench.display import display_safe
from pytest_llmbench.errors import Category, InfraError, UsageError, did_you_mean
from pytest_llmbench.observe.calls import Level, Outcome
from pytest_llmbench.observe.log_fields import CALL, VERSION
from pytest_llmbench.redaction import redact_exact, redact_values

Write = Callable[[str, Conversation], str]
"""(id of the chat, what was said) → the file's text."""


def export(path: Path, run_id: str, conversation: Conversation) -> Path:
    """Write the chat into a new file, in the form that its ending tells.

    Raises:
        UsageError: there is no such form, nothing was asked, or the file exists.
        InfraError: it cannot be written.
    """
    conversation.check_has_question()
    form = FORMS.get(path.suffix.lower())
    if form is None:
        near = did_you_mean(path.suffix, FORMS) if path.suffix else ""
        raise UsageError(f"{path} has none of the endings {', '.join(FORMS)}, which tell the form{near}")
    try:
        with path.open("x", encoding="utf-8") as file:
            file.write(redact_exact(form(run_id, conversation)))
    except FileExistsError:
        raise UsageError(f"{path} exists, and is not written over", hint="give it another name") from None
    except OSError as error:
        raise InfraError(f"{path} cannot be written: {error.strerror}", category=Category.STORE) from error
    return path


def markdown(run_id: str, conversation: Conversation) -> str:
    """For readers: a heading a model, its questions as quotes, its answers as they are."""
    return "\n\n".join(_markdown(run_id, conversation)) + "\n"


def whole_json(run_id: str, conversation: Conversation) -> str:
    """Everything that is known, as JSON."""
    return json.dumps({"id": run_id, **redact_values(conversation.as_dict())}, indent=2) + "\n"


def jsonl(run_id: str, conversation: Conversation) -> str:
    """A line for each answer: one of the request log with its contents, and a sample of a dataset at once."""
    rows = (row for talk in conversation.talks for row in _calls(run_id, conversation, talk))
    return "".join(f"{json.dumps(redact_values(row))}\n" for row in rows)


FORMS: Mapping[str, Write] = {".md": markdown, ".json": whole_json, ".jsonl": jsonl}
"""Ending → what makes the text."""


def _markdown(run_id: str, conversation: Conversation) -> Iterator[str]:
    yield f"# {conversation.name or f'Chat {run_id}'}"
    if conversation.system:
        yield f"System: {_line(conversation.system)}"
    for talk in conversation.talks:
        yield f"## {_line(talk.model)}"
        for turn in talk.turns:
            yield "\n".join(f"> {line}" for line in display_safe(turn.question).split("\n"))
            yield _answer(turn, talk.model)


def _answer(turn: Turn, usual: str) -> str:
    said = display_safe(spoken(turn.text).strip())
    called = "\n\n".join(f"*called {_line(call.name)}({_line(call.arguments)})*" for call in turn.tool_calls)
    why = f"*no answer: {_line(turn.error)}*" if turn.state == State.FAILED else ""
    cut = "*(cut)*" if turn.state == State.CUT else ""
    who = f"*{_line(turn.model)}:*" if said and turn.model not in {"", usual} else ""
    return "\n\n".join(part for part in (who, said, called, why, cut) if part)


def _calls(run_id: str, conversation: Conversation, talk: Talk) -> Iterator[dict[str, Any]]:
    for number, turn in enumerate(talk.turns):
        if turn.counts:
            asked = Talk(talk.model, talk.turns[: number + 1]).messages(conversation.system)
            parts = (quote(part, safe="", errors="replace") for part in (run_id, RUN_NODE, talk.model))
            place = "/".join([*parts, str(number), "1"])
            yield {**_logged(turn, run_id, place), "messages": asked, "input": asked, "expected": turn.said}


def _logged(turn: Turn, run_id: str, place: str) -> dict[str, Any]:
    """What the request log tells of a call, as far as it is known here."""
    is_whole = turn.state == State.ANSWERED
    return {
        "v": VERSION,
        "event": CALL,
        "at": turn.ended_at,
        "level": str(Level.INFO if is_whole else Level.WARNING),
        "run": run_id,
        "process": RUN_NODE,
        "id": place,
        "role": ROLE,
        "model": turn.model,
        "served_model": turn.served_model,
        "begun_at": turn.at,
        "outcome": str(Outcome.ANSWERED if is_whole else Outcome.CANCELLED),
        "text": turn.said,
    }


def _line(text: str) -> str:
    return display_safe(" ".join(text.split()), keep="")
