"""What workers and the asker's process say to each other: one JSON object a line.

A worker names questions by their ids first; only of those that the process does not know yet it sends the bodies, and
of each target only once a line.

Requests (`{"op", "id", ...}`, answered by `{"id", "ok": ...}` or `{"id", "error": {...}}`; without `id` not answered):

- `hello` (token): always the first
- `plan` (keys, window): ask ahead; not answered
- `questions` (targets, questions): bodies that the process said it needs; not answered
- `get` (key), `get_all` (keys, concurrency), `stream` (key): replies. Those of `get_all` come in several
  `{"id", "part"}`, the pieces of a stream as `{"id", "text"}` before its reply
- `get_each` (keys): as `get_all`, each with its reply or its error
- `agree` (choices): what was chosen first for each key
- `drop` (request): nobody waits for that request any more; not answered
- `pause`, `resume`, `cancel` (of what this line wants), `status`, `ping`, `shutdown`

What comes unasked: `{"need": [keys]}`.
"""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Iterable, Mapping, Sequence
from functools import cache
from typing import Any

from pytest_llmbench import errors
from pytest_llmbench.asker.question import Question
from pytest_llmbench.clients.request import ChatRequest
from pytest_llmbench.errors import Category, InfraError, LlmbenchError
from pytest_llmbench.records import Record, Reply, Target
from pytest_llmbench.records.record import MalformedRecordError

FRAME_BYTES = 2**28
"""No line is longer, or its sender is none of ours."""
_MARKS_OF_A_QUESTION = ("alike", "hasty", "anew")
_SENT_OF_A_QUESTION = (
    "request",
    "test_key",
    "request_hash",
    "ordinal",
    "use_case",
    "role",
    "sample",
    *_MARKS_OF_A_QUESTION,
)
_SENT_OF_AN_ERROR = ("category", "exit_code", "log_tail", "status", "partial_text")
_MARKS = ("blamed", "unsent")
"""Attributes of an `InfraError` that are told where they are set."""
_FAULT_HINT = "this is a fault of pytest-llmbench: please report it with asker.log from the log folder of the run"


class MalformedError(ValueError):
    """A line that nobody of ours writes."""


def encode(message: Mapping[str, Any]) -> bytes:
    """The message as a line; records in it become objects."""
    return _write(message).encode() + b"\n"


def decode(line: bytes) -> dict[str, Any]:
    """The message of a line.

    Raises:
        MalformedError: it is no JSON object.
    """
    try:
        message = json.loads(line)
    except (ValueError, RecursionError) as error:
        raise MalformedError(f"not JSON: {type(error).__name__}") from error
    if not isinstance(message, dict):
        raise MalformedError("not an object")
    return message


class Packer:
    """Writes the questions of one line: each target once, then by its number."""

    def __init__(self) -> None:
        self._numbers: dict[str, int] = {}
        self._last: tuple[Target | None, int] = (None, 0)

    def packed(self, questions: Iterable[Question]) -> dict[str, Any]:
        """`targets` and `questions` for a message."""
        targets: list[Target] = []
        packed = [[self._number(question.target, targets), *_fields(question)] for question in questions]
        return {"targets": targets, "questions": packed}

    def _number(self, target: Target, new: list[Target]) -> int:
        if target is self._last[0]:
            return self._last[1]
        key = _write(target)
        if key not in self._numbers:
            self._numbers[key] = len(self._numbers)
            new.append(target)
        self._last = target, self._numbers[key]
        return self._numbers[key]


class Unpacker:
    """Reads what the packer at the other end of the line wrote."""

    def __init__(self) -> None:
        self._targets: list[Target] = []

    def unpacked(self, message: Mapping[str, Any]) -> list[Question]:
        """The questions of a message.

        Raises:
            MalformedError: they are none.
        """
        try:
            self._targets += [Target.from_dict(told) for told in message["targets"]]
            return [self._question(*told) for told in message["questions"]]
        except (MalformedRecordError, LlmbenchError, KeyError, TypeError, IndexError) as error:
            raise MalformedError(f"no questions: {error}") from error

    def _question(self, target: int, request: Mapping[str, Any], *rest: Any) -> Question:
        return Question(self._targets[target], ChatRequest.from_dict(request), *rest)


def reply_of(told: Mapping[str, Any]) -> Reply:
    """The reply that the process told."""
    return Reply.from_dict(told)


def told_outcome(outcome: Reply | BaseException) -> dict[str, Any]:
    """A reply, or what stands for it, as it travels."""
    return {"ok": outcome} if isinstance(outcome, Reply) else {"error": told_error(outcome)}


def outcome_of(told: Mapping[str, Any]) -> Reply | LlmbenchError:
    """The reply that the process told, or what stands for it."""
    return reply_of(told["ok"]) if "ok" in told else error_of(told["error"])


def told_error(error: BaseException) -> dict[str, Any]:
    """An error as it travels; one that is none of ours is told as a fault of ours."""
    if not isinstance(error, LlmbenchError):
        said = f"asking failed in an unforeseen way: {type(error).__name__}: {error}"
        return {"kind": "InfraError", "message": said, "hint": _FAULT_HINT, "category": Category.INTERNAL.name}
    known = {name: getattr(error, name) for name in _SENT_OF_AN_ERROR if hasattr(error, name)}
    known |= {name: True for name in _MARKS if getattr(error, name, False)}
    if "category" in known:
        known["category"] = known["category"].name
    return {"kind": type(error).__name__, "message": error.message, "hint": error.hint, **known}


def error_of(told: Mapping[str, Any]) -> LlmbenchError:
    """The error that was told, of the same class."""
    given = {name: value for name, value in told.items() if name not in {"kind", *_MARKS}}
    if "category" in given:
        given["category"] = Category.__members__[given["category"]]
    kind = getattr(errors, str(told.get("kind")), InfraError)
    made: LlmbenchError = kind(**given)
    for name in _MARKS:
        if told.get(name) is True:
            setattr(made, name, True)
    return made


def texts(message: Mapping[str, Any], field: str) -> Sequence[str]:
    """A field that is a list of texts.

    Raises:
        MalformedError: it is none.
    """
    value = message.get(field)
    if not isinstance(value, list) or not all(isinstance(each, str) for each in value):
        raise MalformedError(f"`{field}` is a list of texts")
    return value


def number(message: Mapping[str, Any], field: str) -> int | None:
    """A field that is a whole number, or None.

    Raises:
        MalformedError: it is something else.
    """
    value = message.get(field)
    if value is not None and (not isinstance(value, int) or isinstance(value, bool)):
        raise MalformedError(f"`{field}` is a whole number")
    return value


def _fields(question: Question) -> list[Any]:
    return [getattr(question, name) for name in _SENT_OF_A_QUESTION]


@cache
def _names(record: type[Any]) -> tuple[str, ...]:
    return tuple(field.name for field in dataclasses.fields(record))


def _as_object(value: Any) -> Any:
    if isinstance(value, Record):
        kind: Any = type(value)
        return {name: getattr(value, name) for name in _names(kind)}
    raise TypeError(f"{type(value).__name__} does not travel")


_write = json.JSONEncoder(default=_as_object, separators=(",", ":")).encode
