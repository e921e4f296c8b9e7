"""What makes an answer doubtful, so that a stronger model is asked: each a thing that can be counted."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

from pytest_llmbench.records import Reply, Target
from pytest_llmbench.routing.route import Unsure

LOW_CONFIDENCE = "low_confidence"
DISAGREEMENT = "disagreement"
UNUSABLE, EMPTY = "unusable", "empty"
USELESS = frozenset({UNUSABLE, EMPTY})
"""Doubts about an answer that says nothing: an earlier one that says something counts in its place."""
_NO_LOGPROBS = frozenset({"anthropic"})
"""Wire formats that know none."""


@dataclass(frozen=True, slots=True)
class Doubt:
    """One reason to ask a stronger model."""

    of: str
    """`judge`, `chat` or `both`."""
    help: str


DOUBTS: Mapping[str, Doubt] = {
    "unusable": Doubt("judge", "no usable verdict, though the judge was asked once more"),
    "border": Doubt("judge", "one step of one grade more or less would turn the verdict; of a pair, a tie or a flip"),
    "disagreement": Doubt("judge", "the other judges of its panel are not of one mind with it"),
    "low_confidence": Doubt("both", "exp(mean log-probability of the answer's tokens) is below `confidence`"),
    "refusal": Doubt("chat", "the answer refuses, or the provider's filter stopped it"),
    "empty": Doubt("chat", "no text and no tool call"),
    "cut": Doubt("chat", "the answer ended at its limit of tokens"),
    "hard": Doubt("both", "the question looks hard (`difficulty`), before anybody is asked"),
}
"""By its name under `unsure: {when: [...]}`."""


def of_chat(reply: Reply, unsure: Unsure, refuses: Callable[[str], str]) -> str:
    """The first doubt that an answer in a chat leaves, of those that a route goes by; empty: none.

    Args:
        reply: the answer.
        unsure: what the route goes by.
        refuses: gives the words with which a text refuses, empty where it does not.
    """
    return next((name for name in _of_chat(reply, unsure, refuses) if name in unsure.when), "")


def is_unconfident(reply: Reply, unsure: Unsure) -> bool:
    """Whether its tokens were too unlikely; False where nobody told how likely they were."""
    known = confidence(reply)
    return known is not None and known < unsure.confidence


def confidence(reply: Reply) -> float | None:
    """The geometric mean of the probabilities of the answer's tokens; None where the server did not tell."""
    told = reply.usage.mean_logprob
    return None if told is None else math.exp(min(told, 0.0))


def may_tell_confidence(target: Target) -> bool:
    """Whether a model may tell how likely its tokens were, as far as that is known before it is asked."""
    return target.format not in _NO_LOGPROBS and target.capabilities.logprobs is not False


def _of_chat(reply: Reply, unsure: Unsure, refuses: Callable[[str], str]) -> Iterator[str]:
    if reply.finish_reason == "content_filter" or refuses(reply.text):
        yield "refusal"
    if not (reply.text.strip() or reply.tool_calls):
        yield EMPTY
    if reply.finish_reason == "length":
        yield "cut"
    if is_unconfident(reply, unsure):
        yield LOW_CONFIDENCE
