"""llama-server's own endpoints, beside the OpenAI-compatible ones: tokens, templates, properties, raw completions."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from typing import Any

from pytest_llmbench import http
from pytest_llmbench.clients.refusals import refusal
from pytest_llmbench.clients.request import Endpoint, Message
from pytest_llmbench.errors import Category, WireError


class LlamaApi:
    """Calls of one server; each raises `WireError` where no usable answer comes.

    Args:
        endpoint: where it is, asked at each call: a server that is started again is elsewhere.
        deadlines: of each call.
    """

    def __init__(self, endpoint: Callable[[], Endpoint], deadlines: http.Deadlines) -> None:
        self._endpoint = endpoint
        self._deadlines = deadlines

    def answers(self) -> bool:
        """Whether this is a llama.cpp server: any other has no `/tokenize`."""
        try:
            self.tokenize("a")
        except WireError:
            return False
        return True

    def tokenize(self, text: str, *, add_special: bool = False, parse_special: bool = True) -> list[int]:
        """The token ids of `text`.

        Args:
            text: any text.
            add_special: put the model's begin-of-text token before, as a prompt of a raw completion has it.
            parse_special: read `<|...|>` as the special token it names, as in a chat's template.
        """
        fields = {"content": text, "add_special": add_special, "parse_special": parse_special}
        tokens = self._post("/tokenize", fields).get("tokens")
        if not isinstance(tokens, list):
            raise self._unusable("/tokenize", "no tokens")
        return [int(token) for token in tokens]

    def detokenize(self, tokens: Sequence[int]) -> str:
        """The text of token ids."""
        return str(self._post("/detokenize", {"tokens": list(tokens)}).get("content", ""))

    def apply_template(self, messages: Sequence[Message]) -> str:
        """The prompt that the model's chat template makes of a conversation."""
        return str(self._post("/apply-template", {"messages": list(messages)}).get("prompt", ""))

    def chat_tokens(self, messages: Sequence[Message]) -> int:
        """How many prompt tokens a conversation has."""
        return len(self.tokenize(self.apply_template(messages), add_special=True))

    def props(self) -> dict[str, Any]:
        """The server's properties: `default_generation_settings.n_ctx`, `total_slots`, `chat_template`, ..."""
        return self._call("GET", "/props", b"")

    def completion(self, prompt: str | Sequence[int], **fields: Any) -> dict[str, Any]:
        """A raw completion, not streamed.

        Args:
            prompt: a text, or token ids.
            **fields: `n_predict`, `n_probs`, `temperature`, `cache_prompt`, ...
        """
        given = prompt if isinstance(prompt, str) else list(prompt)
        return self._post("/completion", {"prompt": given, "stream": False, **fields})

    def _post(self, path: str, fields: Mapping[str, Any]) -> dict[str, Any]:
        return self._call("POST", path, json.dumps(fields).encode())

    def _call(self, method: str, path: str, body: bytes) -> dict[str, Any]:
        endpoint, headers = self._endpoint(), {"content-type": "application/json"}
        if endpoint.api_key:
            headers["authorization"] = f"Bearer {endpoint.api_key.reveal()}"
        request = http.Request(method, endpoint.url(path), headers, body)
        got = http.run(http.fetch(request, self._deadlines))
        if not 200 <= got.status < 300:
            raise refusal(request.shown, got.status, got.headers, got.body, endpoint.api_key)
        try:
            told = json.loads(got.body)
        except (ValueError, RecursionError):
            raise self._unusable(path, "no JSON") from None
        if not isinstance(told, dict):
            raise self._unusable(path, f"a {type(told).__name__}")
        return told

    def _unusable(self, path: str, what: str) -> WireError:
        return WireError(
            f"{self._endpoint().url(path)}: the server answered with {what}",
            category=Category.STREAM_MALFORMED,
            hint="is this a llama.cpp server?",
        )
