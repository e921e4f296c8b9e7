"""One timed request: a fresh prefix and no cache, clocks read around it, its metrics read off the reply."""

from __future__ import annotations

import dataclasses
import secrets
from collections.abc import Mapping
from typing import Any

from pytest_llmbench import clock, http
from pytest_llmbench.bench.account import Account
from pytest_llmbench.bench.planned import Planned, Timed
from pytest_llmbench.bench.sent import Sent
from pytest_llmbench.bench.subject import Subject
from pytest_llmbench.clients import ChatRequest, Endpoint, chat
from pytest_llmbench.clients.request import Message
from pytest_llmbench.errors import Category, InfraError, WireError
from pytest_llmbench.metrics import call_metrics
from pytest_llmbench.monitor import ProcessMeter
from pytest_llmbench.records import Repetition, Reply, ServerInfo

_NO_CACHE: Mapping[str, Any] = {"cache_prompt": False}
_EXACT_LENGTH: Mapping[str, Any] = {"ignore_eos": True}


class Asking:
    """Sends what a profile planned to one model's server.

    Args:
        subject: the model.
        account: of the measurement.
    """

    def __init__(self, subject: Subject, account: Account) -> None:
        self.server: ServerInfo
        self.pinned = True
        """Whether the server takes llama.cpp's own fields, which pin the length and keep the cache out."""
        self._subject = subject
        self._account = account
        self._seen_by = subject.seen_by()

    def timed(self, planned: Planned) -> Timed:
        """One request by itself, with the CPU time that it cost the server.

        Raises:
            WireError: no complete reply.
            InfraError: the prompt came from a cache.
        """
        meter = ProcessMeter(self.server.pid) if self.server.pid is not None else None
        look, begun_at = self._account.window(), clock.monotonic()
        before = meter.cpu_s() if meter else None
        request, reply = http.run(self._asked(planned))
        after = meter.cpu_s() if meter else None
        timed = self._read(planned, request, reply, begun_at, look())
        return timed.scored(labels={}, **_cpu_per_token(before, after, reply))

    async def among_others(self, planned: Planned, due_at: float | None = None, *, tolerant: bool) -> Timed:
        """One request of several that are under way at once.

        Args:
            planned: what to send.
            due_at: when it was meant to be sent, on `clock.monotonic`'s clock.
            tolerant: a failure is a result too.
        """
        look, begun_at = self._account.window(), clock.monotonic()
        try:
            request, reply = await self._asked(planned)
        except WireError as error:
            if not tolerant:
                raise
            return self._failed(planned, error, begun_at, due_at)
        timed = self._read(planned, request, reply, begun_at, look())
        return timed.scored(labels={}, **_from_intended(reply, begun_at, due_at))

    def throw_away(self, planned: Planned) -> None:
        """Send it and forget the answer."""
        http.run(self._asked(planned))

    async def _asked(self, planned: Planned) -> tuple[ChatRequest, Reply]:
        request, was_pinned = self._request(planned), self.pinned
        try:
            return request, await self._sent(planned, request)
        except WireError as error:
            if error.category is Category.INVALID_REQUEST and was_pinned:
                self.pinned = False  # a server that refuses fields it does not know is measured without them
                return await self._asked(planned)
            raise

    async def _sent(self, planned: Planned, request: ChatRequest) -> Reply:
        self._account.sent += 1
        where, begun_at = self._subject.endpoint_at(self.server), clock.monotonic()
        try:
            reply = await chat(where, request, self._deadlines(planned))
        except BaseException as error:  # a cancellation is an end, too
            self._note(planned, where, request, begun_at, error)
            raise
        self._note(planned, where, request, begun_at, reply)
        return reply

    def _note(
        self, planned: Planned, where: Endpoint, request: ChatRequest, begun_at: float, came: Reply | BaseException
    ) -> None:
        if self._seen_by is not None:
            ended_at = clock.monotonic()
            self._account.diary.note(Sent(self._seen_by, planned, where, request, begun_at, ended_at, came))

    def _deadlines(self, planned: Planned) -> http.Deadlines:
        usual = self._subject.deadlines
        total_s = max(usual.total_s, planned.patience_s + usual.idle_s)
        return dataclasses.replace(usual, ttft_s=max(usual.ttft_s, planned.patience_s), total_s=total_s)

    def _request(self, planned: Planned) -> ChatRequest:
        prompt = planned.prompt
        messages: tuple[Message, ...] = ({"role": "user", "content": prompt},) if isinstance(prompt, str) else prompt
        if planned.fresh:
            messages = _fresh(messages)
        pins = {**_NO_CACHE, **({} if planned.natural else _EXACT_LENGTH)} if self.pinned else {}
        extra = {**pins, **planned.extra}
        return ChatRequest(self._subject.name, messages, max_tokens=planned.output_tokens, extra=extra)

    def _read(self, planned: Planned, request: ChatRequest, reply: Reply, begun_at: float, dirty: str) -> Timed:
        if not planned.cached_ok:
            _refuse_cached(reply, self._subject.name)
        repetition = Repetition(
            planned.index,
            planned.round,
            _text(request),
            call_metrics(reply.timing, reply.usage),
            timing=reply.timing,
            usage=reply.usage,
            labels=dict(planned.labels),
            at_s=begun_at - self._account.begun_at,
            dirty="" if planned.cached_ok else dirty,  # what nobody times cannot be disturbed
        )
        return Timed(repetition, request, reply)

    def _failed(self, planned: Planned, error: WireError, begun_at: float, due_at: float | None) -> Timed:
        """A request of a tolerant load that got no reply: its category, and how long that took."""
        waited_s = clock.monotonic() - (begun_at if due_at is None else due_at)
        request = self._request(dataclasses.replace(planned, fresh=False))
        repetition = Repetition(
            planned.index,
            planned.round,
            _text(request),
            {},
            labels={**planned.labels, "error": str(error.category), "failed_after_s": waited_s},
            at_s=begun_at - self._account.begun_at,
        )
        return Timed(repetition, request, None)


def _fresh(messages: tuple[Message, ...]) -> tuple[Message, ...]:
    """With a beginning that no cache knows; on a resume too: the server may have seen the one that was cut off."""
    first, *others = messages
    return ({**first, "content": f"[{secrets.token_hex(4)}] {first.get('content', '')}"}, *others)


def _text(request: ChatRequest) -> str:
    return "\n\n".join(str(message.get("content", "")) for message in request.messages)


def _refuse_cached(reply: Reply, name: str) -> None:
    cached = int(reply.timing.server.get("cache_n", 0)) or reply.usage.cached_tokens or 0
    if cached:
        raise InfraError(
            f"{name}: the server took {cached} prompt tokens from its cache, so its times are not those of the prompt",
            category=Category.MEASUREMENT_INVALID,
            hint="switch the prompt cache of that server off (llama-server: --no-cache-prompt --cache-ram 0)",
        )


def _from_intended(reply: Reply, begun_at: float, due_at: float | None) -> dict[str, float]:
    """Latencies that hold the wait for our own turn: a load that falls behind cannot hide it."""
    timing = reply.timing
    if due_at is None or timing.written_s is None:
        return {}
    lag_s = begun_at + timing.written_s - due_at
    found = {"send_lag_s": lag_s}
    if timing.ttft_s is not None:
        found["ttft_intended_s"] = lag_s + timing.ttft_s
    if timing.e2e_s is not None:
        found["e2e_intended_s"] = lag_s + timing.e2e_s
    return found


def _cpu_per_token(before: float | None, after: float | None, reply: Reply) -> dict[str, float]:
    processed = reply.timing.server.get("prompt_n") or reply.usage.prompt_tokens
    generated = reply.usage.completion_tokens
    if before is None or after is None or not processed or not generated:
        return {}
    return {"cpu_s_per_token": (after - before) / (processed + generated)}
