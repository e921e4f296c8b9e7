"""The model as tests hold it: plain sync calls over the background loop."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from pytest_llmbench import http
from pytest_llmbench.clients.request import ChatRequest, Endpoint, Message
from pytest_llmbench.clients.rounds import Keep, Lost, ask_each
from pytest_llmbench.errors import UsageError
from pytest_llmbench.records import Reply

Prompt = str | Sequence[Message]
"""A user message, or a whole conversation."""


class Model:
    """Something that answers.

    Args:
        name: as users write it.
        endpoint: where it is asked; called anew for each `ask`, because its server may have been restarted.
        deadlines: of each request.
        recall: gives the stored reply to a request, or None: then nothing is asked.
        keep: stores a reply the moment it is complete and returns it with its id; called in a thread of its own, one
            reply at a time.
        lost: tells, in the same thread, why the server of a broken exchange is gone; what it explains is asked once
            more, at a new endpoint.
    """

    def __init__(
        self,
        name: str,
        *,
        endpoint: Callable[[], Endpoint],
        deadlines: http.Deadlines,
        recall: Callable[[ChatRequest], Reply | None] | None = None,
        keep: Keep | None = None,
        lost: Lost | None = None,
    ) -> None:
        self.name = name
        self._endpoint = endpoint
        self._deadlines = deadlines
        self._recall = recall
        self._keep = keep
        self._lost = lost

    def __repr__(self) -> str:
        return f"Model({self.name!r})"

    def ask(
        self,
        prompt: Prompt,
        *,
        system: str | None = None,
        max_tokens: int | None = None,
        temperature: float = 0.0,
        seed: int | None = None,
        stream: bool = True,
        **extra: Any,
    ) -> Reply:
        """Ask once and wait for the whole reply.

        Args:
            prompt: the user's message, or a list of messages (`{"role": ..., "content": ...}`).
            system: a system message put before it.
            max_tokens: the longest answer; None leaves it to the server.
            temperature: 0 makes most servers deterministic.
            seed: for servers that take one.
            stream: False gives no time to first token.
            **extra: further fields of the request's body, as the server names them.

        Raises:
            WireError: no complete reply came; its `category` says why.
            UsageError: the request cannot be sent as it is.
        """
        common = {"system": system, "max_tokens": max_tokens, "temperature": temperature, "seed": seed}
        return self.ask_all([prompt], concurrency=1, stream=stream, **common, **extra)[0]

    def ask_all(self, prompts: Iterable[Prompt], *, concurrency: int = 4, **options: Any) -> list[Reply]:
        """Ask several prompts, some at once.

        The first failure cancels what is still under way and is raised; replies complete by then have been kept.

        Args:
            prompts: as in `ask`.
            concurrency: how many requests are under way at once.
            **options: as in `ask`, the same for all.

        Returns:
            The replies, in the order of the prompts.

        Raises:
            WireError: one of them got no complete reply.
            UsageError: a request cannot be sent as it is.
        """
        if concurrency < 1:
            raise UsageError(f"concurrency is at least 1, not {concurrency}")
        requests = [self._request(prompt, **options) for prompt in prompts]
        replies = [self._recall(request) if self._recall else None for request in requests]
        missing = [index for index, reply in enumerate(replies) if reply is None]
        if missing:
            answers = ask_each(
                [requests[index] for index in missing],
                endpoint=self._endpoint,
                deadlines=self._deadlines,
                concurrency=concurrency,
                keep=self._keep,
                lost=self._lost,
            )
            for index, answer in zip(missing, answers, strict=True):
                replies[index] = answer
        return [reply for reply in replies if reply is not None]

    def _request(self, prompt: Prompt, *, system: str | None = None, **options: Any) -> ChatRequest:
        messages = [{"role": "user", "content": prompt}] if isinstance(prompt, str) else list(prompt)
        if system is not None:
            messages.insert(0, {"role": "system", "content": system})
        fields = {name: options.pop(name) for name in _FIELDS & options.keys()}
        return ChatRequest(self.name, tuple(messages), **fields, extra=options)


_FIELDS = frozenset({"max_tokens", "temperature", "seed", "stream"})
