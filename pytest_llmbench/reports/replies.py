"""Prompts and replies of a run, under the test or measurement that asked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pytest_llmbench.records import Measurement, Repetition, Reply, Run, TestResult
from pytest_llmbench.results.costs import cost_words


@dataclass(frozen=True, slots=True)
class Turn:
    """One message of what was asked."""

    role: str
    text: str


@dataclass(frozen=True, slots=True)
class ReplyView:
    """One question and its answer."""

    title: str
    turns: tuple[Turn, ...]
    text: str
    reasoning: str
    tool_calls: str
    """A line a call, its name and its arguments as the model wrote them; empty where it called none."""
    model: str
    served_model: str
    finish_reason: str
    completion_tokens: int | None
    cost: str
    """In words; empty where the call has no place in an account."""
    attempts: int
    ttft_s: float | None
    e2e_s: float | None


@dataclass(frozen=True, slots=True)
class ReplyGroup:
    """The replies of one test or one measurement."""

    title: str
    kind: str
    """`test`, `measurement` or `other` (asked by a fixture that several tests share)."""
    outcome: str
    replies: tuple[ReplyView, ...]


def reply_groups(run: Run, tests: Sequence[TestResult]) -> Iterator[ReplyGroup]:
    """Every reply once: under the first test that names it, else under its measurement, else by itself.

    Those to samples of use cases are shown with the samples, and not here.

    Args:
        run: read back whole.
        tests: its results, in the order that readers want.
    """
    of_samples = {id_ for result in tests if result.evaluation is not None for id_ in result.reply_ids}
    left = {reply.id: reply for reply in run.replies if reply.id not in of_samples}
    yield from filter(_has_replies, (_of_test(result, left) for result in tests))
    yield from filter(_has_replies, (_of_measurement(measurement, left) for measurement in run.measurements))
    shown = tuple(_shown(f"reply {number}", reply) for number, reply in enumerate(left.values(), start=1))
    yield from filter(_has_replies, [ReplyGroup("asked by no single test", "other", "", shown)])


def _has_replies(group: ReplyGroup) -> bool:
    return bool(group.replies)


def _of_test(result: TestResult, left: dict[str, Reply]) -> ReplyGroup:
    found = _taken(result.reply_ids, left)
    shown = tuple(_shown(f"reply {number}", reply) for number, reply in enumerate(found, start=1))
    return ReplyGroup(result.nodeid, "test", str(result.outcome), shown)


def _of_measurement(measurement: Measurement, left: dict[str, Reply]) -> ReplyGroup:
    shown = [
        _shown(f"request {repetition.index + 1}, round {repetition.round + 1}", reply, repetition)
        for repetition in measurement.repetitions
        for reply in _taken([repetition.reply_id], left)
    ]
    return ReplyGroup(f"{measurement.model} · {measurement.profile}", "measurement", "", tuple(shown))


def _taken(ids: Sequence[str], left: dict[str, Reply]) -> list[Reply]:
    return [left.pop(id_) for id_ in ids if id_ in left]


def _shown(title: str, reply: Reply, repetition: Repetition | None = None) -> ReplyView:
    turns = turns_of(reply.request)
    if not turns and repetition is not None and repetition.prompt:
        turns = (Turn("user", repetition.prompt),)
    return ReplyView(
        title=title,
        turns=turns,
        text=reply.text,
        reasoning=reply.reasoning,
        tool_calls="\n".join(f"{call.name}({call.arguments})" for call in reply.tool_calls),
        model=reply.model,
        served_model=reply.served_model,
        finish_reason=reply.finish_reason,
        completion_tokens=reply.usage.completion_tokens,
        cost=cost_words(reply.model, reply.cost),
        attempts=reply.attempts,
        ttft_s=reply.timing.ttft_s,
        e2e_s=reply.timing.e2e_s,
    )


def turns_of(request: Mapping[str, object]) -> tuple[Turn, ...]:
    """The messages of a request as they were asked; of pictures and sounds only that there were some."""
    messages = request.get("messages")
    if not isinstance(messages, list | tuple):
        return ()
    return tuple(
        Turn(str(message.get("role", "")), _content(message.get("content", "")))
        for message in messages
        if isinstance(message, Mapping)
    )


def _content(content: object) -> str:
    """The text of a message, whose parts may be text or media."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list | tuple) else [content]
    return "\n".join(_part(part) if isinstance(part, Mapping) else str(part) for part in parts)


def _part(part: Mapping[str, object]) -> str:
    if isinstance(part.get("text"), str):
        return str(part["text"])
    kind = str(part.get("type", "part")).removesuffix("_url").removeprefix("input_")
    size = sum(len(text) for text in _texts(part))
    return f"[{kind}, {size:,} characters as it was sent]"


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for each in value.values():
            yield from _texts(each)
