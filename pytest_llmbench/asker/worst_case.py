"""The most that asking a question once can cost: what a budget reserves, and refuses to guess."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from pytest_llmbench.asker.fitting import fitted
from pytest_llmbench.asker.question import Question
from pytest_llmbench.asker.tokens import upper_bound
from pytest_llmbench.clients import ChatRequest
from pytest_llmbench.errors import UsageError
from pytest_llmbench.providers.costs import worst_case
from pytest_llmbench.records import Target

_LONGEST_ANSWER = "max_completion_tokens"
"""The extra field that is sent in place of `max_tokens`."""
_EXTRA_CHARGES = frozenset({"audio", "mcp_servers", "models", "plugins", "prediction", "web_search_options"})
"""Searches, other models, other kinds of tokens: billed by prices that are not the model's."""
_DEARER = {"service_tier": frozenset({"priority", "fast"}), "speed": frozenset({"fast"})}
"""Fields of which some values raise the price of a token."""
_OWN_TOOLS = frozenset({"function", "custom"})
"""Tools that the caller runs; others the provider runs, and bills."""
_ELSEWHERE = frozenset({"document", "file", "input_file", "input_video", "video", "video_url"})
"""Parts of a message of which a few bytes may stand for very many tokens."""


def worst_case_of(question: Question) -> Decimal:
    """The most that asking once can cost, in US dollars.

    Raises:
        UsageError: nobody knows: the model has no price, the request no `max_tokens`, or it asks for what has a price
            of its own.
    """
    target = question.target
    if target.is_local and not target.price.known:
        return Decimal(0)
    if not target.price.known:
        raise UsageError(
            f"no price of {target.name} is known, and a budget has to know what a call can cost",
            hint='declare one in llmbench.yaml, in US dollars for a million tokens: `prices: {"'
            f'{target.name}": {{input: 2.50, output: 10}}}}`',
        )
    request, _ = fitted(question.request, target)
    if (charge := next(_of_unknown_price(request, target), None)) is not None:
        raise UsageError(
            f"a request to {target.name} holds {charge}, so that nobody knows what it may cost",
            hint="a budget allows only what tokens and their price bound: leave it out, or run without --max-cost "
            "and `budget:`",
        )
    return worst_case(target.price, upper_bound(request), _longest_answer(request, target))


def _longest_answer(request: ChatRequest, target: Target) -> int:
    """Tokens of all answers that are asked for."""
    extra = request.extra
    bound = extra.get(_LONGEST_ANSWER, request.max_tokens)  # a null there is sent as such, and bounds nothing
    if not bound or int(bound) < 1:
        raise UsageError(
            f"a request to {target.name} has no max_tokens, so that nobody knows what it may cost",
            hint="a budget makes max_tokens obligatory: give it with the request or in the dataset's marker",
        )
    return int(bound) * max(1, int(extra.get("n") or 1), int(extra.get("best_of") or 1))


def _of_unknown_price(request: ChatRequest, target: Target) -> Iterator[str]:
    """What of a request is billed by more than its tokens."""
    extra = request.extra
    if target.model_id.endswith(":online"):
        yield "a search of the web (`:online`)"
    yield from (f"the field {name!r}" for name in sorted(_EXTRA_CHARGES & extra.keys()) if extra[name])
    yield from (f"{name}={extra[name]!r}" for name, values in _DEARER.items() if str(extra.get(name)) in values)
    if {"audio", "image"} & set(extra.get("modalities") or ()):
        yield "the field 'modalities'"
    for tool in extra.get("tools") or ():
        if isinstance(tool, Mapping) and tool.get("type", "custom") not in _OWN_TOOLS:
            yield f"a tool that the provider runs ({tool['type']})"
    yield from (f"a part of type {kind!r}" for message in request.messages for kind in _kinds(message) & _ELSEWHERE)


def _kinds(message: Mapping[str, Any]) -> set[str]:
    content = message.get("content")
    parts = content if isinstance(content, list | tuple) else ()
    return {str(part.get("type")) for part in parts if isinstance(part, Mapping)}
