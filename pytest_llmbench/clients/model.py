"""The model as tests hold it: plain sync calls over the background loop."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Any

from pytest_llmbench import http
from pytest_llmbench.clients.live import Live
from pytest_llmbench.clients.request import ChatRequest, Endpoint, Message
from pytest_llmbench.clients.rounds import Keep, Lost, ask_each
from pytest_llmbench.clients.watched import See, only_chat
from pytest_llmbench.clients.wire import Hearing
from pytest_llmbench.errors import UsageError
from pytest_llmbench.records import Reply, Sample

Prompt = str | Sequence[Message] | Sample
"""A user message, a whole conversation, or a sample, whose input is one of both."""

AT_ONCE = 4
"""Requests under way at once where nobody said how many: the slots of a small server."""


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
        see: tells those who look on of requests that are asked.
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
        see: See | None = None,
    ) -> None:
        self.name = name
        self._endpoint = endpoint
        self._deadlines = deadlines
        self._recall = recall
        self._keep = keep
        self._lost = lost
        self._see = see

    def __repr__(self) -> str:
        return f"Model({self.name!r})"

    def ask(
        self,
        prompt: Prompt,
        *,
        system: str | None = None,
        max_tokens: int | None = None,
        temperature: float | None = 0.0,
        seed: int | None = None,
        stream: bool = True,
        **extra: Any,
    ) -> Reply:
        """Ask once and wait for the whole reply.

        Args:
            prompt: the user's message, or a list of messages (`{"role": ..., "content": ...}`).
            system: a system message put before it.
            max_tokens: the longest answer; None leaves it to the server.
            temperature: 0 makes most servers deterministic; None: none is sent, for models that take none.
            seed: for servers that take one.
            stream: False gives no time to first token.
            **extra: further fields of the request's body, as the server names them.

        Raises:
            WireError: no complete reply came; its `category` says why.
            UsageError: the request cannot be sent as it is.
        """
        __tracebackhide__ = True
        common = {"system": system, "max_tokens": max_tokens, "temperature": temperature, "seed": seed}
        return self.ask_all([prompt], concurrency=1, stream=stream, **common, **extra)[0]

    def ask_all(self, prompts: Iterable[Prompt], *, concurrency: int | None = None, **options: Any) -> list[Reply]:
        """Ask several prompts, some at once.

        The first failure cancels what is still under way and is raised; replies complete by then have been kept.

        Args:
            prompts: as in `ask`; a dataset (fixture `dataset`) brings the options of its marker along.
            concurrency: how many requests are under way at once; None: 4 of a model of this machine, as many as the
                provider allows of an API model.
            **options: as in `ask`, the same for all.

        Returns:
            The replies, in the order of the prompts.

        Raises:
            WireError: one of them got no complete reply.
            UsageError: a request cannot be sent as it is.
        """
        __tracebackhide__ = True
        if concurrency is not None and concurrency < 1:
            raise UsageError(f"concurrency is at least 1, not {concurrency}")
        return self.answers(requests_of(self.name, prompts, options), concurrency=concurrency)

    def stream(self, prompt: Prompt, **options: Any) -> Live:
        """Ask once, and get the answer while it comes.

        Args:
            prompt: as in `ask`.
            **options: as in `ask`.

        Returns:
            Iterate over the pieces of its text, then read `.reply`; nothing is asked before the iteration begins.
        """
        __tracebackhide__ = True
        [request] = requests_of(self.name, [prompt], options)
        stored = self._recall(request) if self._recall else None
        if stored is not None:
            return Live([stored.text], lambda: stored)
        begins = self._see([request]) if self._see else None
        come: list[Reply] = []

        async def work(hand: Callable[[str], None]) -> None:
            where = await asyncio.to_thread(self._endpoint)  # its server may have to be started first
            begin = begins[0] if begins else None
            come.append(await only_chat(begin, where, request, self._deadlines, on_text=Hearing(hand)))

        stop = http.Stop()
        return Live(http.results(work, stop), lambda: self._keep(request, come[0]) if self._keep else come[0], stop)

    def answers(
        self, requests: Sequence[ChatRequest], *, concurrency: int | None = None, stop: http.Stop | None = None
    ) -> list[Reply]:
        """The replies to requests as they are; otherwise as `ask_all`.

        Args:
            requests: what is asked.
            concurrency: as in `ask_all`.
            stop: breaks it off from another thread; then an `InfraError`, `cancelled`, is raised.
        """
        __tracebackhide__ = True
        replies = [self._recall(request) if self._recall else None for request in requests]
        missing = [index for index, reply in enumerate(replies) if reply is None]
        if missing:
            asked = [requests[index] for index in missing]
            answers = ask_each(
                asked,
                endpoint=self._endpoint,
                deadlines=self._deadlines,
                concurrency=concurrency or AT_ONCE,
                keep=self._keep,
                lost=self._lost,
                begins=self._see(asked) if self._see else None,
                stop=stop,
            )
            for index, answer in zip(missing, answers, strict=True):
                replies[index] = answer
        return [reply for reply in replies if reply is not None]


def requests_of(model: str, prompts: Iterable[Prompt], options: Mapping[str, Any]) -> list[ChatRequest]:
    """What is asked of a model, prompt by prompt.

    Args:
        model: its name, as users write it.
        prompts: as in `Model.ask_all`; what brings `options` along (a dataset) gives those that are not given here.
        options: as in `Model.ask`.
    """
    __tracebackhide__ = True
    chosen = {"stream": True, **getattr(prompts, "options", {}), **options}
    return [request_of(model, prompt, **chosen) for prompt in prompts]


def request_of(model: str, prompt: Prompt, *, system: str | None = None, **options: Any) -> ChatRequest:
    """What is asked of a model; arguments as in `Model.ask`."""
    __tracebackhide__ = True
    asked = prompt.input if isinstance(prompt, Sample) else prompt
    messages: list[Message] = [{"role": "user", "content": asked}] if isinstance(asked, str) else list(asked)
    if system is not None:
        messages.insert(0, {"role": "system", "content": system})
    fields = {name: options.pop(name) for name in _FIELDS & options.keys()}
    return ChatRequest(model, tuple(messages), **fields, extra=options)


_FIELDS = frozenset({"max_tokens", "temperature", "seed", "stream"})
