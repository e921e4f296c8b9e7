"""The answers to the chunks of a sample become one answer.

| merge | asks | for |
|---|---|---|
| `map-reduce` | each chunk by itself, at once; then all answers together, in rounds where they do not fit | summaries |
| `refine` | chunk after chunk, each with the answer so far | what builds on what came before |
| `concat` | each chunk by itself, at once; nothing more | translations, extracted lists |

What is merged is asked by the same prompt, with instructions and answers in place of the text: its task, its form and
its examples hold for the whole as for the parts.
"""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from pytest_llmbench.chunking.accounts import as_one
from pytest_llmbench.chunking.counters import Counter
from pytest_llmbench.chunking.fitting import Fit
from pytest_llmbench.chunking.shapes import Chunk, Chunking
from pytest_llmbench.chunking.subject import Messages, with_text
from pytest_llmbench.clients.request import Message
from pytest_llmbench.errors import Category, InfraError
from pytest_llmbench.records import Reply, Sample
from pytest_llmbench.validators.json_reply import reply_json

Ask = Callable[[Sequence[Sequence[Message]]], Sequence[Reply]]
"""Asks several conversations, some at once; as `Model.ask_all`."""

REDUCE = (
    "The text was too long to be read at once. Here, in its order, are the answers to its parts. Make one answer for "
    "the whole text of them, as if it had been read at once: keep what they say, say what is said twice only once, "
    "and add nothing."
)
REFINE = (
    "The text is too long to be read at once. Here are the answer to all that came before, and the next part of the "
    "text. Give the answer for all of it up to here: keep what still holds, mend and add what this part tells."
)


@dataclass(frozen=True, slots=True)
class Merged:
    """The answer to a sample that was asked in pieces."""

    reply: Reply
    """As one reply, see `accounts.as_one`; it is of no call, and has no id."""
    calls: tuple[Reply, ...]
    """All that were made, in their order: the chunks' answers first."""


@dataclass(frozen=True, slots=True)
class _Work:
    """What merging one sample needs."""

    sample: Sample
    fit: Fit
    chunking: Chunking
    messages: Messages
    ask: Ask
    counter: Counter

    def asked(self, texts: Sequence[str]) -> list[Reply]:
        """The answers to the sample with these in place of its text."""
        samples = [with_text(self.sample, self.fit.variable, text) for text in texts]
        return list(self.ask([self.messages(each) for each in samples]))


def calls_after_first(fit: Fit, chunking: Chunking) -> int:
    """How many calls, at least, wait for the answers to others before they can be asked.

    Args:
        fit: how a sample is cut.
        chunking: what the use case declares.
    """
    if fit.is_whole or chunking.merge == "concat":
        return 0
    return len(fit.chunks) - 1 if chunking.merge == "refine" else 1


def merged(sample: Sample, fit: Fit, chunking: Chunking, *, messages: Messages, ask: Ask, counter: Counter) -> Merged:
    """Ask a sample, in pieces where it has to be, and merge the answers.

    Args:
        sample: it.
        fit: how it is cut; see `fitting.fit`.
        chunking: what the use case declares.
        messages: what a sample is asked as.
        ask: asks; called once for all chunks, but one after another to refine.
        counter: who counts the model's tokens.

    Raises:
        InfraError: the chunks' answers are too long to be merged.
    """
    work = _Work(sample, fit, chunking, messages, ask, counter)
    if fit.is_whole:
        [reply] = ask([messages(sample)])
        return Merged(reply, (reply,))
    if chunking.merge == "refine":
        return _refined(work)
    calls = work.asked([chunk.text for chunk in fit.chunks])
    if chunking.merge == "concat":
        return Merged(as_one(calls, joined([call.text for call in calls])), tuple(calls))
    return _reduced(work, calls)


def joined(texts: Sequence[str]) -> str:
    """Answers one after another; JSON lists become one list."""
    lists = [_json_list(text) for text in texts]
    if all(each is not None for each in lists):
        return json.dumps([item for each in lists for item in each or ()], ensure_ascii=False)
    return "\n\n".join(text.strip() for text in texts)


def _refined(work: _Work) -> Merged:
    first, *rest = work.fit.chunks
    calls = work.asked([first.text])
    for chunk in rest:
        so_far = f"### The answer so far\n{calls[-1].text.strip()}"
        calls += work.asked([_question(work, REFINE, [so_far, f"### Part {_place(chunk)}\n{chunk.text}"])])
    return Merged(as_one(calls, calls[-1].text), tuple(calls))


def _reduced(work: _Work, calls: list[Reply]) -> Merged:
    """All answers in one question; where they do not fit, first groups of them."""
    made = list(calls)
    answers = [
        f"### Answer to part {_place(chunk)}\n{call.text.strip()}"
        for chunk, call in zip(work.fit.chunks, calls, strict=True)
    ]
    while len(answers) > 1:
        groups = _groups(work, answers)
        replies = work.asked([_question(work, REDUCE, group) for group in groups if len(group) > 1])
        made += replies
        alone = [group[0] for group in groups if len(group) == 1]
        answers = [
            f"### Answer to parts, {at}\n{each.text.strip()}" for at, each in enumerate(replies, start=1)
        ] + alone
    return Merged(as_one(made, made[-1].text), tuple(made))


def _groups(work: _Work, answers: Sequence[str]) -> list[list[str]]:
    """As many answers as fit into one question, but at least two, so that there are fewer every round; only the last
    may be alone."""
    groups: list[list[str]] = []
    for answer in answers:
        if groups and (len(groups[-1]) == 1 or _fits(work, _text(work, REDUCE, [*groups[-1], answer]))):
            groups[-1].append(answer)
        else:
            groups.append([answer])
    return groups


def _question(work: _Work, told: str, parts: Sequence[str]) -> str:
    """What stands in place of the text when answers are merged.

    Raises:
        InfraError: it does not fit.
    """
    text = _text(work, told, parts)
    if not _fits(work, text):
        raise InfraError(
            f"the answers to the {len(work.fit.chunks)} chunks of the sample {work.sample.id!r} cannot be merged: "
            f"{work.counter.count(text)} where {work.fit.room:,} are left",
            category=Category.CONTEXT_LENGTH,
            hint="lower max_tokens, or choose `merge: concat`",
        )
    return text


def _text(work: _Work, told: str, parts: Sequence[str]) -> str:
    return "\n\n".join([work.chunking.instructions or told, *parts])


def _fits(work: _Work, text: str) -> bool:
    return work.fit.room is None or work.counter.count(text).tokens <= work.fit.room


def _place(chunk: Chunk) -> str:
    times = f", from {chunk.begins_at} to {chunk.ends_at}" if chunk.begins_at else ""
    return f"{chunk.number} of {chunk.of}{times}"


def _json_list(text: str) -> list[Any] | None:
    """The list that an answer is, in a Markdown fence or not; None where it is none."""
    try:
        found = reply_json(text)
    except ValueError:
        return None
    return found if isinstance(found, list) else None
