"""What a route may know of a question: how long, what it needs, what for."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from math import ceil

from pytest_llmbench.asker.estimates import ANSWER_TOKENS, CHARACTERS_A_TOKEN, TOKENS_A_MESSAGE
from pytest_llmbench.asker.fitting import needs
from pytest_llmbench.clients.request import ChatRequest
from pytest_llmbench.routing.difficulty import difficulty, text_of


@dataclass(frozen=True)
class Figures:
    """A question in figures."""

    request: ChatRequest
    use_case: str = ""
    """Empty: it belongs to none."""
    answer_tokens: int = ANSWER_TOKENS
    """Expected of an answer where nobody knows more."""

    @cached_property
    def tokens(self) -> int:
        """Of the prompt, expected: characters / 4."""
        characters = sum(len(text_of(message)) for message in self.request.messages)
        return ceil(characters / CHARACTERS_A_TOKEN) + TOKENS_A_MESSAGE * len(self.request.messages)

    @cached_property
    def needs(self) -> frozenset[str]:
        """Which capabilities it makes use of."""
        return frozenset(needs(self.request))

    @cached_property
    def difficulty(self) -> float:
        """How hard it looks, from 0 to 1."""
        return difficulty(self.request.messages)

    @cached_property
    def draw(self) -> int:
        """A number that follows from the question: the same question is drawn for the same."""
        return int(self.request.hash()[:8], 16)
