"""Questions, and providers that answer them within the process, for tests of the asker."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import Any, TypeVar

from pytest_llmbench.asker.means import Means, OnHeaders, OnText
from pytest_llmbench.asker.question import Question
from pytest_llmbench.clients.request import ChatRequest
from pytest_llmbench.errors import Category, WireError
from pytest_llmbench.records import FailedAttempt, Limits, Price, Reply, Target, Usage

PRICE = Price(input="0.000001", output="0.00001")
_T = TypeVar("_T")


def target(name: str = "cloud/one", *, price: Price = PRICE, limits: Limits | None = None, account: str = "") -> Target:
    provider, model_id = name.split("/", 1)
    return Target(
        name,
        provider,
        model_id,
        "openai",
        f"https://{provider}.example",
        price=price,
        limits=limits or Limits(),
        account=account,
    )


def question(number: int, of: Target | None = None, *, prompt: str = "", **fields: Any) -> Question:
    of = of or target()
    fields = {"max_tokens": 100, **fields}
    use_case = fields.pop("use_case", "")
    message = {"role": "user", "content": prompt or f"question {number}"}
    request = ChatRequest(of.name, (message,), **fields)
    return Question(of, request, f"test_{number}", f"hash {of.name} {number}", use_case=use_case)


def questions(count: int, of: Target | None = None, **fields: Any) -> list[Question]:
    return [question(number, of, **fields) for number in range(count)]


def number_of(asked: Question) -> int:
    return int(asked.test_key.removeprefix("test_"))


def refused(category: Category = Category.RATE_LIMITED, status: int = 429, **headers: str) -> WireError:
    named = {name.replace("_", "-"): value for name, value in headers.items()}
    return WireError(f"HTTP {status}", category=category, status=status, headers=named)


def resolved(value: _T) -> Future[_T]:
    done: Future[_T] = Future()
    done.set_result(value)
    return done


Answer = Callable[[Question, int], Reply | BaseException | None]
"""(question, which attempt at it) → reply or failure; None: the usual reply."""


@dataclass
class Provider:
    """Answers after a while, and remembers what it was asked."""

    latency_s: float = 0.2
    answer: Answer | None = None
    at_once: int | None = None
    """More requests than these are refused."""
    headers: Mapping[str, str] = field(default_factory=dict)
    log: list[tuple[float, int]] = field(default_factory=list)
    """(when, which question)."""
    attempts: Counter[int] = field(default_factory=Counter)
    kept: list[Question] = field(default_factory=list)
    failed: list[FailedAttempt] = field(default_factory=list)
    under_way: int = 0
    most_under_way: int = 0
    refusals: int = 0

    async def send(self, asked: Question, on_headers: OnHeaders, on_text: OnText | None) -> Reply:
        number = number_of(asked)
        self.attempts[number] += 1
        self.log.append((asyncio.get_running_loop().time(), number))
        if self.at_once is not None and self.under_way >= self.at_once:
            self.refusals += 1
            raise refused()
        self.under_way += 1
        self.most_under_way = max(self.most_under_way, self.under_way)
        try:
            await asyncio.sleep(self.latency_s)
        finally:
            self.under_way -= 1
        on_headers(200, self.headers)
        outcome = self.answer(asked, self.attempts[number]) if self.answer else None
        if isinstance(outcome, BaseException):
            raise outcome
        reply = outcome or reply_to(asked)
        if on_text is not None:
            for piece in reply.text.split(" "):
                on_text(piece)
        return reply

    def means(self, **more: Any) -> Means:
        return Means(**{"send": self.send, "keep": self.keep, "keep_failed": self.keep_failed, **more})

    def keep(self, asked: Question, reply: Reply) -> Future[Reply]:
        self.kept.append(asked)
        return resolved(reply)

    def keep_failed(self, _asked: Question, attempt: FailedAttempt) -> Future[None]:
        self.failed.append(attempt)
        return resolved(None)


def reply_to(asked: Question, *, prompt_tokens: int = 10, completion_tokens: int = 20) -> Reply:
    usage = Usage(prompt_tokens=prompt_tokens, completion_tokens=completion_tokens)
    return Reply(text=f"answer {number_of(asked)}", model=asked.target.name, usage=usage)
