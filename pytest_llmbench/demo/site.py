"""What the provider answers at each path."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, replace
from typing import Any

from pytest_llmbench.demo.batches import Batches
from pytest_llmbench.demo.calls import Call, Counts
from pytest_llmbench.demo.catalogue import catalogue, models
from pytest_llmbench.demo.connection import Connection
from pytest_llmbench.demo.forms import Form, form_of
from pytest_llmbench.demo.personas import PERSONAS
from pytest_llmbench.demo.rate_limit import RateLimit, retry_headers
from pytest_llmbench.demo.rules import Rules
from pytest_llmbench.demo.script import Answer, ChatBody, Failure, Reaction, Script, words_in
from pytest_llmbench.demo.steps import Page, json_page

_OVER_LIMIT = Failure(429, "rate limit reached for the demo provider", "rate_limit_exceeded", "rate_limit_error")
_KEY_HEADERS = ("x-api-key", "api-key")


class Site:
    """The provider without its socket; every method runs on the loop's thread.

    Args:
        script: see `DemoProvider`.
        traits: of the rules that answer where there is no script; see `Conduct`.
        api_key: where given, other keys get a 401.
        models: what the lists of models tell.
        service_s: see `DemoProvider`.
        batch_s: how long a batch takes from its submission until it is ready.
        limit: what callers are held to; over it they get a 429.
        log_size: how many calls the log keeps; older ones are dropped.
    """

    def __init__(
        self,
        script: Script | Reaction | None = None,
        *,
        traits: Mapping[str, Any] | None = None,
        api_key: str = "",
        models: Sequence[str] = tuple(PERSONAS),
        service_s: float = 0.0,
        batch_s: float = 0.0,
        limit: RateLimit | None = None,
        log_size: int = 10_000,
    ) -> None:
        self.log: list[Call] = []
        self.counts = Counts()
        self.connections: set[Connection] = set()
        self._api_key = api_key
        self._models = models
        self._service_s = service_s
        self._limit = limit
        self._log_size = log_size
        self._rules = Rules(traits or {})
        self._batches = Batches(self._answer, batch_s)
        self._free_at = 0.0
        self._script: Script | None
        self.follow(script)

    def follow(self, script: Script | Reaction | None) -> None:
        """React as told from here on; a sequence begins with its first. None: by rule."""
        self._script = [script] if isinstance(script, Answer | Failure | Page) else script
        self._chats = 0

    def joined(self, connection: Connection) -> int:
        self.counts.connections += 1
        self.connections.add(connection)
        return self.counts.connections

    def left(self, connection: Connection) -> None:
        self.connections.discard(connection)

    def delay_s(self, call: Call) -> float:
        """Count the call in; returns how long it waits until its service ends.

        A wake-up that comes late does not make the next one late.
        """
        self._note(call)
        if not self._service_s or not call.is_chat:
            return 0.0
        self._free_at = max(call.received_at, self._free_at) + self._service_s
        return self._free_at - call.received_at

    def over(self, call: Call) -> None:
        if call.is_chat:
            self.counts.over(call)

    def react(self, call: Call) -> Page:
        form = form_of(call)
        if self._api_key and self._api_key not in _keys(call.headers):
            return form.failure(Failure(401, "wrong API key", "invalid_api_key", "authentication_error"))
        if call.is_chat:
            return self._chat(call, form)
        if (page := self._batches.page(call)) is not None:
            return page
        answers: Mapping[str, Callable[[], Page]] = {
            "/v1/models": lambda: json_page(models(self._models, form)),
            "/api/v1/models": lambda: json_page(catalogue(self._models)),
            "/v1/messages/count_tokens": lambda: json_page({"input_tokens": words_in(call.body or {})}),
            "/health": lambda: json_page({"status": "ok"}),
            "/demo/log": lambda: json_page([asdict(each) for each in self.log if each.is_chat]),
            "/demo/counts": lambda: json_page({**self.counts.told(), "batched": self._batches.asked}),
        }
        return answers.get(call.route, lambda: form.failure(_not_found(call)))()

    def _note(self, call: Call) -> None:
        self.log.append(call)
        if len(self.log) >= 2 * self._log_size:
            del self.log[: -self._log_size]
        if call.is_chat:
            self.counts.received(call)

    def _chat(self, call: Call, form: Form) -> Page:
        if not isinstance(call.body, dict):
            return form.failure(Failure(400, "the body is no JSON object"))
        if wrong := next((name for name in _LENGTHS if not _is_length(call.body.get(name))), None):
            return form.failure(Failure(400, f"{wrong} must be a whole number from 1 on, not {call.body[wrong]!r:.40}"))
        body = call.body if "model" in call.body else {**call.body, "model": _deployment(call)}
        if self._limit is None:
            return self._answer(body, form)
        wait_s = self._limit.refused_s(_most_tokens(body), self.counts.in_flight)
        if wait_s is None:
            page = self._answer(body, form)
        else:
            page = form.failure(replace(_OVER_LIMIT, headers=retry_headers(wait_s, form)))
        return replace(page, headers={**self._limit.headers(form), **page.headers})

    def _answer(self, body: ChatBody, form: Form) -> Page:
        if self._script is None:
            return self._rules.page(body, form)
        self._chats += 1
        if callable(self._script):
            return form.page(self._script(body), body)
        return form.page(self._script[min(self._chats, len(self._script)) - 1], body)


def _keys(headers: Mapping[str, str]) -> set[str]:
    return {headers.get(name, "") for name in _KEY_HEADERS} | {headers.get("authorization", "").removeprefix("Bearer ")}


def _not_found(call: Call) -> Failure:
    return Failure(404, f"no such path: {call.route}", "not_found", "not_found_error")


def _deployment(call: Call) -> str:
    """Azure names the model in the path: `/openai/deployments/NAME/chat/completions`."""
    _, found, rest = call.route.partition("/deployments/")
    return rest.partition("/")[0] if found else ""


_LENGTHS = ("max_tokens", "max_completion_tokens")


def _is_length(told: object) -> bool:
    return told is None or (isinstance(told, int) and not isinstance(told, bool) and told >= 1)


def _most_tokens(body: ChatBody) -> int:
    return words_in(body) + int(body.get("max_tokens") or body.get("max_completion_tokens") or 0)
