"""Which wire format a call is answered in."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from pytest_llmbench.demo import anthropic_form
from pytest_llmbench.demo.calls import Call
from pytest_llmbench.demo.script import Answer, ChatBody, Failure, Reaction
from pytest_llmbench.demo.steps import Page


@dataclass(frozen=True, slots=True)
class Form:
    """A wire format: how answers and failures look in it."""

    name: str
    answer: Callable[[Answer, ChatBody], Page]
    failure: Callable[[Failure], Page]

    def page(self, reaction: Reaction, body: ChatBody) -> Page:
        """What is played for a reaction."""
        if isinstance(reaction, Answer):
            return self.answer(reaction, body)
        return self.failure(reaction) if isinstance(reaction, Failure) else reaction


OPENAI = Form("openai", Answer.page, Failure.page)
ANTHROPIC = Form("anthropic", anthropic_form.answer_page, anthropic_form.failure_page)


def form_of(call: Call) -> Form:
    """The format of whoever called: Anthropic's clients tell a version with every request."""
    anthropic = call.route.startswith("/v1/messages") or "anthropic-version" in call.headers
    return ANTHROPIC if anthropic else OPENAI
