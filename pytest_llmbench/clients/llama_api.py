"""llama-server's own endpoints, beside the OpenAI-compatible ones: tokens, templates, properties, raw completions."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pytest_llmbench.clients.request import Message
from pytest_llmbench.clients.server_api import ServerApi
from pytest_llmbench.errors import WireError


class LlamaApi(ServerApi):
    """Calls of one llama.cpp server; see `ServerApi`."""

    KIND = "llama.cpp"

    def answers(self) -> bool:
        """Whether this is a llama.cpp server: no other has such a `/tokenize`."""
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

    def pieces(self, text: str) -> list[bytes]:
        """The tokens of `text` as the bytes that each stands for."""
        fields = {"content": text, "add_special": False, "parse_special": False, "with_pieces": True}
        told = self._post("/tokenize", fields).get("tokens")
        try:
            return [_bytes(token["piece"]) for token in told]  # type: ignore[union-attr]
        except (TypeError, KeyError, ValueError):
            raise self._unusable("/tokenize", "no pieces of tokens") from None

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


def _bytes(piece: str | list[int]) -> bytes:
    """Of a token: text, or its bytes as numbers where they are no text by themselves."""
    return piece.encode("utf-8", "surrogatepass") if isinstance(piece, str) else bytes(piece)
