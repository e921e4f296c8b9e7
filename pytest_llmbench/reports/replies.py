"""Prompts and replies of a run, under the test or measurement that asked."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from pytest_llmbench.records import Measurement, Repetition, Reply, Run, TestResult
from pytest_llmbench.reports.costs import cost_words


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

    Args:
        run: read back whole.
        tests: its results, in the order that readers want.
    """
    left = {reply.id: reply for reply in run.replies}
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
    turns = _turns(reply.request)
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


def _turns(request: Mapping[str, object]) -> tuple[Turn, ...]:
    messages = request.get("messages")
    if not isinstance(messages, list | tuple):
        return ()
    return tuple(
        Turn(str(message.get("role", "")), str(message.get("content", "")))
        for message in messages
        if isinstance(message, Mapping)
    )
