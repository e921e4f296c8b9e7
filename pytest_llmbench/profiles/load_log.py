"""A request log as recorded traffic: when each question was asked, and what it was, where that was logged.

Of each question the first attempt counts: that it was asked again is the server's doing, and another server's is
another. What came from the response cache never reached one; what was sent to measure a model, or in a batch, is no
traffic.
"""

from __future__ import annotations

import statistics
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from pytest_llmbench.clients.request import Message
from pytest_llmbench.errors import UsageError, did_you_mean
from pytest_llmbench.observe.log_choice import is_measured
from pytest_llmbench.observe.log_fields import CALL, EVENTS, VERSION
from pytest_llmbench.profiles.long_context_text import CHARACTERS_A_TOKEN

_PREFIX_TOKENS = 16
"""What the fresh beginning adds to a prompt that is asked as it was."""


@dataclass(frozen=True, slots=True)
class Arrival:
    """One recorded request."""

    at_s: float
    """In the trace's own time; of a trace that was read, after its first one."""
    input_tokens: int
    output_tokens: int
    messages: tuple[Message, ...] = ()
    """What was asked; empty where the trace tells lengths alone."""


def is_log(told: Mapping[str, Any]) -> bool:
    """Whether a line is one of a request log."""
    return told.get("event") in EVENTS and isinstance(told.get("v"), int)


def arrivals_of(path: Path, lines: Iterable[tuple[str, Mapping[str, Any]]]) -> list[Arrival]:
    """The questions of a log, as they were asked.

    Args:
        path: of the log.
        lines: (where it stands, what it tells).

    Raises:
        UsageError: it holds calls to several models, none at all, or a line is not of that form.
    """
    calls = [(where, told) for where, told in lines if _is_first_attempt(where, told)]
    models = sorted({str(told.get("model", "")) for _, told in calls})
    if len(models) > 1:
        raise UsageError(
            f"the request log {path} holds calls to {len(models)} models: {', '.join(models)[:200]}",
            hint=f"`llmbench log {path} --model '{models[0]}' --json --content -o one.jsonl` takes those of one",
        )
    if not calls:
        raise UsageError(f"the request log {path} holds no calls", hint="`llmbench log` shows what a run asked")
    return _arrivals(path, calls)


def _is_first_attempt(where: str, told: Mapping[str, Any]) -> bool:
    if not is_log(told):
        near = did_you_mean("event", map(str, told))
        raise UsageError(f"{where}: no line of a request log, as the first one is{near}")
    if told["v"] > VERSION:
        raise UsageError(f"{where}: written by a newer pytest-llmbench", hint="update this one")
    is_asked = told["event"] == CALL and told.get("attempt", 1) == 1 and told.get("outcome") != "cached"
    return is_asked and not (is_measured(told) or told.get("batch"))


def _arrivals(path: Path, calls: Sequence[tuple[str, Mapping[str, Any]]]) -> list[Arrival]:
    """Calls that failed told no tokens: theirs are taken to be the median of the others'."""
    prompts = [_prompt_tokens(told) for _, told in calls]
    answers = [_whole(told, "completion_tokens") or _whole(told, "max_tokens") for _, told in calls]
    usual = [_median(known) for known in (prompts, answers)]
    if None in usual:
        raise UsageError(
            f"the request log {path} tells no tokens of any call", hint="replay one in which a call was answered"
        )
    return [
        Arrival(_moment_s(where, told), prompt or usual[0] or 1, answer or usual[1] or 1, _messages(told))
        for (where, told), prompt, answer in zip(calls, prompts, answers, strict=True)
    ]


def _prompt_tokens(told: Mapping[str, Any]) -> int | None:
    known = _whole(told, "prompt_tokens")
    if messages := _messages(told):
        said = sum(len(str(message.get("content", ""))) for message in messages)
        return (known or int(said / CHARACTERS_A_TOKEN) + 1) + _PREFIX_TOKENS
    return known


def _messages(told: Mapping[str, Any]) -> tuple[Message, ...]:
    """What was asked, where it was logged whole."""
    messages = told.get("messages")
    if told.get("shortened") or not isinstance(messages, list):
        return ()
    return tuple(messages) if all(isinstance(each, dict) and "role" in each for each in messages) else ()


def _whole(told: Mapping[str, Any], name: str) -> int | None:
    value = told.get(name)
    return value if isinstance(value, int) and not isinstance(value, bool) and value > 0 else None


def _median(found: Iterable[int | None]) -> int | None:
    known = [each for each in found if each is not None]
    return round(statistics.median(known)) if known else None


def _moment_s(where: str, told: Mapping[str, Any]) -> float:
    try:
        return datetime.fromisoformat(str(told["begun_at"])).timestamp()
    except (KeyError, ValueError) as error:
        raise UsageError(f"{where}: begun_at is no time in ISO 8601") from error
