"""One question without a conversation: as an argument, by a pipe, or both; the answer to standard output alone."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from typing import Any

from pytest_llmbench.chat.asking import Answer, Done, Event, Waiting
from pytest_llmbench.chat.conversation import State, spoken
from pytest_llmbench.chat.ink import Ink, Inks
from pytest_llmbench.chat.showing import QUIET_S, Written, tell_end
from pytest_llmbench.errors import ExitCode, InfraError, OverBudgetError, UsageError
from pytest_llmbench.redaction import redact_values


class Whole:
    """Answers that nobody watches: each is written when it is complete, in the order of the models.

    An answer that broke off was not shown, so that it can be tried again by itself.

    Args:
        inks: where to.
        names: who answers.
    """

    live = False

    def __init__(self, inks: Inks, names: Sequence[str]) -> None:
        self._inks = inks
        self._names = names
        self._answers: dict[int, Answer] = {}

    def show(self, event: Event) -> None:
        if isinstance(event, Waiting):
            self._inks.say(event.text)
        elif isinstance(event, Done):
            self._answers[event.who] = event.answer

    def waits(self, silent_s: float, states: Mapping[str, str]) -> None:
        if silent_s >= QUIET_S:
            told = ", ".join(f"{name}: {state}" for name, state in states.items())
            self._inks.notes.status(f"{told or 'waiting'} · {silent_s:.0f} s")

    def end(self) -> None:
        for _, answer in sorted(self._answers.items()):
            self._write(answer)

    def _write(self, answer: Answer) -> None:
        if answer.reply is not None:
            if len(self._names) > 1:
                self._inks.answers.line(f"== {answer.model}")
            written = Written(self._inks)
            written.whole(answer.reply)
            written.close()
        tell_end(self._inks, answer)


class Records(Whole):
    """The same as JSON, a record a line, for programs."""

    def __init__(self, inks: Inks, names: Sequence[str], session: str) -> None:
        super().__init__(inks, names)
        self._session = session

    def _write(self, answer: Answer) -> None:
        self._inks.notes.erase()
        _write_json(self._inks.answers, record_of(answer, self._session))


def record_of(answer: Answer, session: str) -> dict[str, Any]:
    """An answer, or why there is none, as builtin types; all that the model said stands in it as it was."""
    if answer.reply is None:
        error = answer.error
        kind = "over_budget" if isinstance(error, OverBudgetError) else "usage"
        kind = str(error.category) if isinstance(error, InfraError) else kind
        told = {"category": kind, "message": getattr(error, "message", ""), "hint": getattr(error, "hint", "")}
        return {"model": answer.model, "session": session, "state": answer.state, "text": answer.text, "error": told}
    reply = answer.reply
    return {
        "model": answer.model,
        "session": session,
        "state": answer.state,
        "text": spoken(reply.text),
        "error": None,
        "answered_by": reply.model,
        "served_model": reply.served_model,
        "reasoning": reply.reasoning or reply.text.removesuffix(spoken(reply.text)),
        "tool_calls": [call.as_dict() for call in reply.tool_calls],
        "finish_reason": reply.finish_reason,
        "usage": reply.usage.as_dict(),
        "timing": {name: value for name, value in reply.timing.as_dict().items() if name != "gaps_s"},
        "cost": reply.cost.as_dict(),
        "attempts": reply.attempts,
        "is_cached": reply.is_cached,
        "alike": reply.alike.as_dict() if reply.alike else None,
        "reply_id": reply.id,
    }


def status_of(answers: Sequence[Answer]) -> int:
    """0 where all answered, 12 where one was over budget, 11 where the machinery failed, 2 after Ctrl-C.

    Raises:
        UsageError: of the first that could not be asked as it was.
    """
    for answer in answers:
        if isinstance(answer.error, UsageError):
            raise answer.error
    if any(answer.state is State.CUT for answer in answers):
        return ExitCode.INTERRUPTED
    if any(isinstance(answer.error, OverBudgetError) for answer in answers):
        return ExitCode.OVER_BUDGET
    return ExitCode.INFRA_ERRORS if any(answer.error is not None for answer in answers) else ExitCode.OK


def _write_json(ink: Ink, record: Mapping[str, Any]) -> None:
    """In ASCII, so that a stranger's text cannot steer the terminal it may land on."""
    ink.write(f"{json.dumps(redact_values(dict(record)))}\n")
